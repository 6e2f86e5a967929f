//! What can go wrong.

use std::{path::PathBuf, time::Duration};

use dbmux_client::ClientError;
use dbmux_lock::LockError;
use dbmux_os::OsError;

use crate::find::Find;

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
    /// A dbt that dbmux did not start is at the project, and the deadline has passed.
    #[error("dbt is already running in this project. Please wait for it to complete.")]
    StillRunning {
        /// The project's directory.
        project: PathBuf,
        /// Who is in the way.
        finds: Vec<Find>,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Somebody cancelled the wait.
    #[error("cancelled")]
    Cancelled,
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
