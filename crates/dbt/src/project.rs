//! A dbt project: a directory with a `dbt_project.yml`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    DbtError, Environment,
    yaml::{self, Placed},
};

/// What makes a directory a project.
pub const PROJECT_FILE: &str = "dbt_project.yml";

/// A dbt project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its directory, canonical: what names the project.
    pub root: PathBuf,
    /// Its name; `None` where it has none, or one that only dbt can render.
    pub name: Option<String>,
    /// The profile that it names; `None` where it names none.
    pub profile: Option<ProfileName>,
    /// Where dbt writes what it makes of the project: absolute. `DBT_TARGET_PATH` and `--target-path` are not in it.
    pub target_path: PathBuf,
    /// Where dbt writes its log: absolute. `DBT_LOG_PATH` and `--log-path` are not in it.
    pub log_path: PathBuf,
    /// Whether its flags allow that requests are merged.
    pub may_merge: bool,
}

/// Flags under which a merged invocation would do what none alone does.
const NOT_MERGED_UNDER: [&str; 6] = ["fail_fast", "indirect_selection", "debug", "quiet", "log_format", "warn_error"];

/// The profile that a project names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileName {
    /// This one.
    Named(String),
    /// One that only dbt can tell: there is Jinja in it.
    NeedsDbt,
}

impl Project {
    /// The project in this directory.
    ///
    /// # Errors
    /// [`DbtError::NoProject`] when it is none; [`DbtError::Yaml`] and [`DbtError::File`] when its `dbt_project.yml`
    /// cannot be read.
    pub fn at(directory: &Path) -> Result<Self, DbtError> {
        let missing = || DbtError::NoProject { directory: directory.to_owned() };
        let root = fs::canonicalize(directory).map_err(|_| missing())?;
        let file = root.join(PROJECT_FILE);
        if !file.is_file() {
            return Err(missing());
        }
        let read = yaml::read(&file)?;
        if read.names().is_none() {
            return Err(DbtError::Yaml { path: file, line: read.line, reason: "it is no mapping".to_owned() });
        }
        let place = |name: &str, usual: &str| root.join(plain(&read, name).unwrap_or_else(|| usual.to_owned()));
        let profile = read.given("profile").map(|profile| match profile.text() {
            Some(text) if !profile.has_jinja() => ProfileName::Named(text.to_owned()),
            _ => ProfileName::NeedsDbt,
        });
        let flags = read.given("flags");
        let may_merge = NOT_MERGED_UNDER.iter().all(|flag| flags.and_then(|flags| flags.get(flag)).is_none());
        Ok(Self {
            may_merge,
            name: plain(&read, "name"),
            profile,
            target_path: place("target-path", "target"),
            log_path: place("log-path", "logs"),
            root,
        })
    }

    /// The project of a directory: the nearest at or above it, as dbt has it.
    ///
    /// # Errors
    /// As [`Project::at`].
    pub fn above(directory: &Path) -> Result<Self, DbtError> {
        let missing = || DbtError::NoProject { directory: directory.to_owned() };
        let absolute = std::path::absolute(directory).map_err(|_| missing())?;
        let found = absolute.ancestors().find(|above| above.join(PROJECT_FILE).is_file());
        Self::at(found.ok_or_else(missing)?)
    }

    /// The project that a dbt command works in: that of `--project-dir` if it is given (and then no other), else that of
    /// `DBT_PROJECT_DIR`, else the nearest above the working directory.
    ///
    /// # Errors
    /// As [`Project::at`].
    pub fn of(project_dir: Option<&Path>, directory: &Path, environment: &Environment) -> Result<Self, DbtError> {
        let variable = || environment.dbt("PROJECT_DIR").map(Path::new);
        match project_dir.or_else(variable) {
            Some(chosen) => Self::at(&directory.join(chosen)),
            None => Self::above(directory),
        }
    }
}

/// A text without Jinja.
fn plain(read: &Placed, name: &str) -> Option<String> {
    let value = read.given(name)?;
    value.text().filter(|_| !value.has_jinja()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_found_from_inside_and_by_any_spelling() {
        let place = tempfile::tempdir().expect("a directory");
        let root = place.path().canonicalize().expect("its path").join("p");
        fs::create_dir_all(root.join("models/deep")).expect("directories");
        fs::write(root.join(PROJECT_FILE), "name: shop\nprofile: shop\ntarget-path: out\n").expect("a project");
        std::os::unix::fs::symlink(&root, place.path().join("link")).expect("a link");
        let project = Project::above(&root.join("models/deep")).expect("a project");
        assert_eq!(project.root, root);
        assert_eq!(project.name.as_deref(), Some("shop"));
        assert_eq!(project.profile, Some(ProfileName::Named("shop".to_owned())));
        assert_eq!((project.target_path.clone(), project.log_path.clone()), (root.join("out"), root.join("logs")));
        assert_eq!(Project::at(&place.path().join("link")).expect("the same"), project);
        let environment: Environment = [("DBT_PROJECT_DIR", "p")].into_iter().collect();
        assert_eq!(Project::of(None, place.path(), &environment).expect("the same"), project);
        assert!(matches!(Project::at(&root.join("models")), Err(DbtError::NoProject { .. })), "not above");
        assert!(matches!(Project::above(Path::new("/proc")), Err(DbtError::NoProject { .. })));
    }

    #[test]
    fn what_only_dbt_can_render_is_left_to_dbt() {
        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join(PROJECT_FILE);
        fs::write(&file, "name: shop\nprofile: \"{{ env_var('P') }}\"\n").expect("a project");
        let project = Project::at(place.path()).expect("a project");
        assert_eq!(project.profile, Some(ProfileName::NeedsDbt));
        fs::write(&file, "- a list\n").expect("no project");
        assert!(matches!(Project::at(place.path()), Err(DbtError::Yaml { line: 1, .. })));
    }
}
