//! What can go wrong.

use std::path::PathBuf;

use dbmux_client::ClientError;
use dbmux_lock::LockError;
use dbmux_os::OsError;

/// What can go wrong around dbt.
#[derive(Debug, thiserror::Error)]
pub enum DbtError {
    /// No `dbt_project.yml` in this directory, nor in one above it.
    #[error("no dbt_project.yml in {}, nor in a directory above it", directory.display())]
    NoProject {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// A file that dbt would read, and that is missing or cannot be understood.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A lease was not granted.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The project's lock was not granted.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The operating system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}
