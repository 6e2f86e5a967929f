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
    /// A file of dbt's that is no YAML, or says what it cannot mean.
    #[error("{}:{line}: {reason}", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// dbt's profile cannot be found, or lacks what it must have.
    #[error("{}: {reason}", path.display())]
    Profile {
        /// The `profiles.yml` that was read.
        path: PathBuf,
        /// What it lacks.
        reason: String,
    },
    /// There is no dbt to run, or none that can be run.
    #[error("no dbt to run: {}: {reason}", path.display())]
    NoDbt {
        /// The program that was looked for, or its Python.
        path: PathBuf,
        /// Why it cannot be run.
        reason: String,
    },
    /// The process that has dbt imported ended in the middle of a request: what it was doing is left half done, as by a
    /// dbt that is killed.
    #[error("dbt ended before it was done: {reason}")]
    Lost {
        /// How it ended, and its last words.
        reason: String,
    },
    /// The process that has dbt imported said what it cannot have meant.
    #[error("the process that keeps dbt imported: {reason}")]
    Bridge {
        /// What.
        reason: String,
    },
    /// dbt itself refused.
    #[error("dbt: {message}")]
    Dbt {
        /// In its own words.
        message: String,
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
