//! What dbt said of a profile, as long as it would say the same again.

use std::fs;

use super::{Profile, ProfileOptions, files};
use crate::{
    DbtError, Environment, Interpreter, Project,
    warm::{AskedProfile, Setting, Stamps, Warm},
};

/// What may stand in a profile's Jinja, and is another thing each time.
const NEVER_THE_SAME: [&str; 3] = ["modules", "run_started_at", "invocation_id"];

/// A profile that dbt was asked for, with everything that dbt had made it of.
#[derive(Debug, Clone)]
pub struct Asked {
    said: AskedProfile,
    options: ProfileOptions,
    interpreter: Interpreter,
    environment: Environment,
    files: Stamps,
}

impl Asked {
    /// Asks dbt.
    ///
    /// # Errors
    /// [`DbtError::Dbt`] with what dbt says; as [`Warm::invoke`].
    pub fn of(
        project: &Project,
        options: &ProfileOptions,
        setting: &Setting,
        warm: &mut Warm,
    ) -> Result<Self, DbtError> {
        // As they were before dbt has read them.
        let files = Stamps::of(&read_by_dbt(project, options));
        let said = warm.profile(setting, &options.arguments, &options.directory)?;
        let (interpreter, environment) = (setting.interpreter.clone(), setting.environment.clone());
        Ok(Self { said, options: options.clone(), interpreter, environment, files })
    }

    /// Whether dbt would say the same now.
    pub fn is_still_true(&self, project: &Project, options: &ProfileOptions, setting: &Setting) -> bool {
        let read = read_by_dbt(project, options);
        self.options.finds_what(options)
            && self.interpreter == setting.interpreter
            && self.environment == setting.environment
            && self.files == Stamps::of(&read)
            && !read.iter().any(|file| fs::read_to_string(file).is_ok_and(|text| is_never_the_same(&text)))
    }

    /// The profile, its files as they are now.
    pub fn profile(&self) -> Profile {
        let Self { said, options, .. } = self;
        let own = (!said.remote).then(|| said.path.clone().map(|path| (path, None))).flatten();
        let attached = said.attach.iter().map(|one| (one.path.clone(), one.kind.clone()));
        let paths: Vec<_> = own.into_iter().chain(attached.filter(|_| !said.remote)).collect();
        Profile {
            databases: files::databases(&said.adapter, &paths, options),
            relative: files::relative(&said.adapter, &paths),
            name: said.name.clone(),
            target: said.target.clone(),
            adapter: said.adapter.clone(),
            threads: said.threads,
            file: options.directory.join(&said.directory).join(super::FILE),
        }
    }
}

fn read_by_dbt(project: &Project, options: &ProfileOptions) -> Vec<std::path::PathBuf> {
    let own = project.root.join(crate::PROJECT_FILE);
    std::iter::once(own).chain(options.file()).collect()
}

fn is_never_the_same(text: &str) -> bool {
    NEVER_THE_SAME.iter().any(|name| text.contains(name))
}
