//! What a warm dbt is warm for: when any of it changes, another is started.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::{Environment, Interpreter, profile::ProfileOptions};

/// Where dbt runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The Python, and the script `dbt`.
    pub interpreter: Interpreter,
    /// The requester's variables.
    pub environment: Environment,
    /// Files and directories that make another dbt when they change: the profiles, the project's packages.
    pub watched: Vec<PathBuf>,
    /// The adapter that will be needed, where it is known: `duckdb`.
    pub adapter: Option<String>,
}

impl Setting {
    /// A setting that watches what every project has: its packages.
    pub fn new(interpreter: Interpreter, environment: Environment, project: &Path) -> Self {
        let watched = ["package-lock.yml", "packages.yml", "dependencies.yml", "dbt_packages"];
        let watched = watched.iter().map(|name| project.join(name)).collect();
        Self { interpreter, environment, watched, adapter: None }
    }

    /// The same, and watches the profiles that a command would use.
    pub fn for_profile(
        interpreter: Interpreter,
        environment: Environment,
        project: &Path,
        options: &ProfileOptions,
    ) -> Self {
        let setting = Self::new(interpreter, environment, project);
        options.file().into_iter().fold(setting, Self::watching)
    }

    /// Watches another file or directory: `profiles.yml`.
    #[must_use]
    pub fn watching(mut self, path: PathBuf) -> Self {
        self.watched.push(path);
        self
    }
}

/// Why a warm dbt was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restart {
    /// There was none: the first request, or one after it had been idle for long.
    Idle,
    /// Another Python.
    Interpreter,
    /// Another environment.
    Environment,
    /// This file or directory has changed: a profile, a package.
    Changed(PathBuf),
    /// It was no longer there, or said nothing that makes sense.
    Lost(String),
    /// It had served enough, or had grown too large.
    Worn,
    /// It kept this file open after a request.
    Held(PathBuf),
}

impl std::fmt::Display for Restart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Idle => f.write_str("there was none"),
            Self::Interpreter => f.write_str("another Python is to run it"),
            Self::Environment => f.write_str("the environment is another"),
            Self::Changed(path) => write!(f, "{} has changed", path.display()),
            Self::Lost(reason) => write!(f, "it was lost: {reason}"),
            Self::Worn => f.write_str("it had served enough"),
            Self::Held(path) => write!(f, "it kept {} open", path.display()),
        }
    }
}

/// What files and directories looked like: written when, how large, which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stamps(BTreeMap<PathBuf, Stamp>);

/// Which file, how large, and when it was written and changed, in seconds and nanoseconds.
type Stamp = Option<(u64, u64, u64, [(i64, i64); 2])>;

impl Stamps {
    /// As they are now.
    pub(crate) fn of<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        Self(paths.into_iter().map(|path| (path.clone(), stamp(path))).collect())
    }

    /// Adds others.
    pub(crate) fn and(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The first that is not as it was.
    pub(crate) fn changed(&self) -> Option<PathBuf> {
        self.0.iter().find(|(path, was)| stamp(path) != **was).map(|(path, _)| path.clone())
    }
}

/// `None`: it is not there.
fn stamp(path: &Path) -> Stamp {
    let found: io::Result<fs::Metadata> = fs::metadata(path);
    let times = |found: &fs::Metadata| [(found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec())];
    found.ok().map(|found| (found.dev(), found.ino(), found.size(), times(&found)))
}
