//! What a lock is called, and where it therefore is.

use std::path::{Path, PathBuf};

use crate::LockError;

/// Which of the locks in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockName {
    /// Who is the broker of the database.
    Owner = 0,
    /// Who may open the database file now.
    File = 1,
    /// A lock for any purpose.
    Plain = 2,
}

/// What a named lock covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// A project, by its directory.
    Project(PathBuf),
    /// This user, on this machine.
    Global,
}

/// Where a database's locks are: `<path>.dbmux`.
pub fn sidecar_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".dbmux");
    PathBuf::from(name)
}

/// Where a named lock is, or would be.
///
/// # Errors
/// [`LockError::Name`] for a name that cannot be a file's; else when there is no runtime directory.
pub fn named_path(name: &str, scope: &Scope) -> Result<PathBuf, LockError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(LockError::Name { name: name.to_owned() });
    }
    let directory = match scope {
        Scope::Project(root) => root.join(".dbmux"),
        Scope::Global => dbmux_os::runtime::runtime_dir()?.join("locks"),
    };
    Ok(directory.join(format!("{name}.lock")))
}

/// Makes the directory that a lock's file is in. In a project, version control is told to leave it alone.
pub(crate) fn make_directory(path: &Path, scope: &Scope) -> Result<(), LockError> {
    let Some(directory) = path.parent().filter(|directory| !directory.is_dir()) else { return Ok(()) };
    let failed = |source| LockError::Open { path: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(failed)?;
    if matches!(scope, Scope::Project(_)) {
        std::fs::write(directory.join(".gitignore"), "*\n").map_err(failed)?;
    }
    Ok(())
}
