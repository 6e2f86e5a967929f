//! What the kernel refused, with the thing it refused it for.

use std::{io, path::PathBuf};

/// What can go wrong when the operating system is asked.
#[derive(Debug, thiserror::Error)]
pub enum OsError {
    /// A call about a path failed.
    #[error("{operation} {}: {source}", path.display())]
    Path {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The path that it was tried on.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A call about a process failed.
    #[error("{operation} process {pid}: {source}")]
    Process {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The process's number.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The process has ended, or its number belongs to another one by now.
    #[error("find process {pid}: it has ended")]
    Gone {
        /// The number that the process had.
        pid: u32,
    },
    /// A directory that must be ours alone is not.
    #[error("use {} as a private directory: {reason}", path.display())]
    NotPrivate {
        /// The directory.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// This operating system has no way to do it, or dbmux does not know it yet.
    #[error("{operation}: not supported on {}", std::env::consts::OS)]
    Unsupported {
        /// What was tried.
        operation: &'static str,
    },
}

impl OsError {
    pub(crate) fn path(operation: &'static str, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self::Path { operation, path: path.into(), source: source.into() }
    }

    /// What the system said, where it said something.
    #[must_use]
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Path { source, .. } | Self::Process { source, .. } => Some(source.kind()),
            Self::Gone { .. } => Some(io::ErrorKind::NotFound),
            Self::NotPrivate { .. } => Some(io::ErrorKind::PermissionDenied),
            Self::Unsupported { .. } => Some(io::ErrorKind::Unsupported),
        }
    }
}
