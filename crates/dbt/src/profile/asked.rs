//! What dbt said of a profile, as long as it would say the same again.

use std::fs;

use super::{Profile, ProfileOptions, files, jinja};
use crate::{
    DbtError, Environment, Interpreter, ProfileName, Project,
    warm::{AskedProfile, Setting, Stamps, Warm},
};

/// A profile that dbt was asked for, with what dbt had made it of, as far as that is known.
#[derive(Debug, Clone)]
pub struct Asked {
    said: AskedProfile,
    options: ProfileOptions,
    interpreter: Interpreter,
    environment: Environment,
    /// The files that it was read from, and those of dbt itself.
    files: Stamps,
    /// Nothing else went into it.
    is_all_known: bool,
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
        let own = [project.root.join(crate::PROJECT_FILE)];
        let profiles = options.file();
        // As they were before dbt has read them.
        let mut files = Stamps::of(own.iter().chain(&profiles));
        let text = profiles.as_ref().and_then(|file| fs::read_to_string(file).ok());
        let said = warm.profile(setting, &options.arguments, &options.directory)?;
        files.and(warm.stamps());
        let names_itself = options.profile.is_some() || !matches!(project.profile, Some(ProfileName::NeedsDbt));
        // Where HOME is not set, dbt finds one by itself.
        let is_where_dbt_reads = profiles == Some(options.directory.join(&said.directory).join(super::FILE));
        let is_all_known =
            names_itself && is_where_dbt_reads && text.is_some_and(|text| jinja::is_of_environment_and_vars(&text));
        let (interpreter, environment) = (setting.interpreter.clone(), setting.environment.clone());
        Ok(Self { said, options: options.clone(), interpreter, environment, files, is_all_known })
    }

    /// Whether dbt would say the same now, for certain.
    pub fn is_still_true(&self, options: &ProfileOptions, setting: &Setting) -> bool {
        self.is_all_known
            && self.options.finds_what(options)
            && self.interpreter == setting.interpreter
            && self.environment == setting.environment
            && self.files.changed().is_none()
    }

    /// The profile, its files as they are now.
    pub fn profile(&self) -> Profile {
        let Self { said, options, .. } = self;
        let own = said.path.as_ref().filter(|_| !said.remote);
        let attached = said.attach.iter().map(|one| (one.path.clone(), one.kind.clone()));
        let attached = attached.filter(|_| !said.remote);
        let paths: Vec<_> = own.map(|own| (own.clone(), None)).into_iter().chain(attached).collect();
        Profile {
            database: own.and_then(|own| files::database(&said.adapter, own, options)),
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
