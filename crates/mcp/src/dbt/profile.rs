//! The profile that the project is used with: which adapter, and which files.

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use dbmux_dbt::{
    DbtCommand, Project,
    profile::{self, Profile, ProfileOptions, Read},
    warm::{Setting, Warm},
};

use super::{Dbt, manifest::blocking};
use crate::{call::Call, failure::Failure};

/// One that was read, and when what it was read from had changed.
pub(super) struct KnownProfile {
    changed: [Option<SystemTime>; 2],
    profile: Arc<Profile>,
}

impl Dbt {
    /// The profile. Where only dbt can tell, it takes as long as dbt takes to be imported, once.
    pub(crate) async fn profile(self: &Arc<Self>, call: &Call) -> Result<Arc<Profile>, Failure> {
        let project = self.project()?;
        if let Some(known) = self.known_profile(&project)? {
            return Ok(known);
        }
        let dbt = Arc::clone(self);
        call.unless_cancelled(blocking(move || {
            let options = dbt.profile_options(&project);
            let interpreter = dbt.interpreter(&project)?;
            let environment = dbt.options.environment.clone();
            let setting = Setting::for_profile(interpreter, environment, &project.root, &options);
            let changed = dbt.changed(&project);
            let profile = Arc::new(profile::ask(&options, &setting, &mut Warm::usual())?);
            *dbt.profile.lock() = Some(KnownProfile { changed, profile: Arc::clone(&profile) });
            Ok(profile)
        }))
        .await
    }

    /// Its databases, as far as they are known without dbt.
    pub(super) fn known_databases(&self, project: &Project) -> Vec<PathBuf> {
        let known = self.known_profile(project).ok().flatten();
        known.map_or_else(Vec::new, |profile| profile.databases.clone())
    }

    fn known_profile(&self, project: &Project) -> Result<Option<Arc<Profile>>, Failure> {
        if let Read::Profile(profile) = profile::read(project, &self.profile_options(project))? {
            return Ok(Some(Arc::new(profile)));
        }
        let changed = self.changed(project);
        let known = self.profile.lock();
        Ok(known.as_ref().filter(|known| known.changed == changed).map(|known| Arc::clone(&known.profile)))
    }

    fn profile_options(&self, project: &Project) -> ProfileOptions {
        let command = DbtCommand::parse(vec!["run".to_owned()]);
        ProfileOptions::of(&command, &project.root, &self.options.environment)
    }

    fn changed(&self, project: &Project) -> [Option<SystemTime>; 2] {
        let changed = |path: PathBuf| path.metadata().and_then(|found| found.modified()).ok();
        let profiles = self.profile_options(project).file();
        [changed(project.root.join(dbmux_dbt::PROJECT_FILE)), profiles.and_then(changed)]
    }
}
