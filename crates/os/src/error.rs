//! What the kernel refused.

use std::{io, path::PathBuf};

/// What the kernel refused.
#[derive(Debug, thiserror::Error)]
pub enum OsError {
    /// A call on a path failed.
    #[error("{operation} {}: {source}", path.display())]
    Path {
        /// What was done.
        operation: &'static str,
        /// To what.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A call failed.
    #[error("{operation}: {source}")]
    Call {
        /// What was done.
        operation: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A directory that must be ours alone is not.
    #[error("{} is not a directory of ours with mode 0700: {found}", path.display())]
    NotPrivate {
        /// The directory.
        path: PathBuf,
        /// What it is instead.
        found: String,
        /// It is a directory of ours, and only open to others: `chmod 700` is all that it lacks.
        closable: bool,
    },
    /// The process is not there, or its number belongs to another one by now.
    #[error("process {pid} has ended")]
    NoSuchProcess {
        /// Its number.
        pid: u32,
    },
    /// This system has no way to tell.
    #[error("{what} is not supported on this system")]
    Unsupported {
        /// What was asked.
        what: &'static str,
    },
}

impl OsError {
    pub(crate) fn path(operation: &'static str, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self::Path { operation, path: path.into(), source: source.into() }
    }

    pub(crate) fn call(operation: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Call { operation, source: source.into() }
    }
}
