//! The profile that the project is used with: which adapter, and which files.

use std::{path::PathBuf, sync::Arc};

use dbmux_dbt::{
    DbtCommand, DbtError, Project,
    profile::{self, Asked, Profile, ProfileOptions, Read},
    warm::{Setting, Warm},
};

use super::{Dbt, manifest::blocking};
use crate::{call::Call, failure::Failure};

impl Dbt {
    /// The profile. Where only dbt can tell, it takes as long as dbt takes to be imported, once.
    pub(crate) async fn profile(self: &Arc<Self>, call: &Call) -> Result<Profile, Failure> {
        let project = self.project()?;
        if let Some(known) = self.known_profile(&project)? {
            return Ok(known);
        }
        let dbt = Arc::clone(self);
        call.unless_cancelled(blocking(move || {
            let (options, setting) = (dbt.profile_options(&project), dbt.profile_setting(&project)?);
            let asked = Asked::of(&project, &options, &setting, &mut Warm::usual())?;
            let profile = asked.profile();
            *dbt.profile.lock() = Some(asked);
            Ok(profile)
        }))
        .await
    }

    /// Its databases, as far as they are known without dbt: at least those that dbt has told last.
    pub(super) fn known_databases(&self, project: &Project) -> Vec<PathBuf> {
        let known = self.known_profile(project).ok().flatten();
        let last = || self.profile.lock().as_ref().map(Asked::profile);
        known.or_else(last).map_or_else(Vec::new, |profile| profile.databases)
    }

    fn known_profile(&self, project: &Project) -> Result<Option<Profile>, Failure> {
        let options = self.profile_options(project);
        if let Read::Profile(profile) = profile::read(project, &options)? {
            return Ok(Some(profile));
        }
        let known = self.profile.lock();
        let Some(known) = known.as_ref() else { return Ok(None) };
        let setting = self.profile_setting(project)?;
        Ok(known.is_still_true(&options, &setting).then(|| known.profile()))
    }

    pub(super) fn profile_options(&self, project: &Project) -> ProfileOptions {
        let command = DbtCommand::parse(vec!["run".to_owned()]);
        ProfileOptions::of(&command, &project.root, &self.options.environment)
    }

    fn profile_setting(&self, project: &Project) -> Result<Setting, DbtError> {
        let environment = self.options.environment.clone();
        let options = self.profile_options(project);
        Ok(Setting::for_profile(self.interpreter(project)?, environment, &project.root, &options))
    }
}
