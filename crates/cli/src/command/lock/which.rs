//! Which lock is meant: a database's, a project's, or one that is only a name.
//!
//! The text alone decides between a path and a name, never what is there: a file that comes or goes must not make another
//! lock of the same word.

use std::path::{Path, PathBuf};

use dbmux_lock::{Lock, LockName, Scope};

use crate::{
    args::{LockArgs, ScopeArg},
    failure::Failure,
};

/// What database files are called.
const EXTENSIONS: [&str; 8] = ["duckdb", "ddb", "db", "db3", "sqlite", "sqlite3", "lance", "lancedb"];

/// What a project's top directory is known by.
const PROJECT: [&str; 4] = [".dbmux", ".git", "dbt_project.yml", ".hg"];

/// A lock that may not exist yet.
pub(super) enum Which {
    /// The lock of a database's sidecar that is for anybody's use.
    Database(PathBuf),
    Named(String, Scope),
}

impl Which {
    pub(super) fn of(args: &LockArgs) -> Result<Self, Failure> {
        let path = Path::new(&args.name);
        let name =
            || args.name.to_str().map(str::to_owned).ok_or_else(|| Failure::usage("a lock's name is UTF-8 text"));
        let scope = args.scope.unwrap_or_else(|| if is_path(path) { ScopeArg::Database } else { ScopeArg::Global });
        Ok(match scope {
            ScopeArg::Database => Self::Database(dbmux_os::runtime::canonical_database_path(path)?),
            ScopeArg::Project => Self::Named(name()?, Scope::Project(project()?)),
            ScopeArg::Global => Self::Named(name()?, Scope::Global),
        })
    }

    pub(super) fn open(&self) -> Result<Lock, Failure> {
        Ok(match self {
            Self::Database(database) => Lock::open_for_database(database, LockName::Plain)?,
            Self::Named(name, scope) => Lock::named(name, scope)?,
        })
    }

    /// Where its table is.
    pub(super) fn table(&self) -> Result<PathBuf, Failure> {
        Ok(match self {
            Self::Database(database) => dbmux_lock::sidecar_path(database),
            Self::Named(name, scope) => dbmux_lock::named_path(name, scope)?,
        })
    }
}

/// It has a directory, or is called as databases are: no plain name is meant.
fn is_path(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    path.components().count() > 1
        || path.has_root()
        || path.starts_with(".")
        || extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// The nearest directory above this one that looks like a project's top; this one where none does.
fn project() -> Result<PathBuf, Failure> {
    let here = std::env::current_dir()?;
    let top = here.ancestors().find(|directory| PROJECT.iter().any(|mark| directory.join(mark).exists()));
    Ok(top.unwrap_or(&here).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_decides_what_is_a_path() {
        for path in ["./job", "a/job", "/job", "sales.duckdb", "SALES.DB", "x.lance", "../job"] {
            assert!(is_path(Path::new(path)), "{path}");
        }
        for name in ["job", "nightly.2024", "job.lock", "a b"] {
            assert!(!is_path(Path::new(name)), "{name}");
        }
    }
}
