//! Why a lock could not be had.

use std::{io, path::PathBuf, time::Duration};

use dbmux_os::{OsError, process::ProcessInfo};

use crate::TicketInfo;

/// Why a lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The deadline has passed. Nothing was taken.
    #[error("{} is locked{}; gave up after {waited:.1?} with {ahead} ahead", path.display(), by(holder.as_deref()))]
    TimedOut {
        /// The lock's file.
        path: PathBuf,
        /// Who has it.
        holder: Option<Box<TicketInfo>>,
        /// Tickets that were to be granted before ours.
        ahead: usize,
        /// How long we waited.
        waited: Duration,
    },
    /// Somebody cancelled the wait. Nothing was taken.
    #[error("the wait for {} was cancelled", path.display())]
    Cancelled {
        /// The lock's file.
        path: PathBuf,
    },
    /// A process is stopped inside the gate, which is held for microseconds otherwise. Nothing was taken.
    #[error("the gate of {} is held by {}, which does not go on", path.display(), in_the_gate(holder.as_deref()))]
    GateHeld {
        /// The lock's file.
        path: PathBuf,
        /// Who is in it, where that can be seen.
        holder: Option<Box<ProcessInfo>>,
    },
    /// Somebody emptied the lock's file while it was in use. Whoever has the lock still has it; nothing was taken.
    #[error("{} was emptied while it was in use; it can be used again when those who hold it have ended", path.display())]
    Emptied {
        /// The lock's file.
        path: PathBuf,
    },
    /// As many tickets as the table holds are waiting.
    #[error("{} has {limit} waiting already", path.display())]
    Full {
        /// The lock's file.
        path: PathBuf,
        /// How many there may be.
        limit: usize,
    },
    /// Locks on this file system cannot be trusted between machines.
    #[error("{} is on a {file_system} file system, where locks cannot be trusted", path.display())]
    NetworkFileSystem {
        /// The lock's file.
        path: PathBuf,
        /// Its kind.
        file_system: &'static str,
    },
    /// Somebody deleted or replaced the lock's file while it was held.
    #[error("{} was deleted or replaced while it was in use", path.display())]
    Replaced {
        /// The lock's file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a lock's file", path.display())]
    NotALock {
        /// The file.
        path: PathBuf,
    },
    /// The file was made by another version.
    #[error("{} has format {found}, and this program knows format {known}", path.display())]
    Format {
        /// The lock's file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// A name that cannot be a file's.
    #[error("`{name}` cannot be a lock's name: use letters, digits, `-`, `_` and `.`")]
    Name {
        /// The name.
        name: String,
    },
    /// The file cannot be opened or made.
    #[error("open {}: {source}", path.display())]
    Open {
        /// The lock's file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The table cannot be read or written.
    #[error("{operation} {}: {source}", path.display())]
    Table {
        /// What was done.
        operation: &'static str,
        /// The lock's file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The kernel refuses.
    #[error(transparent)]
    System(#[from] OsError),
}

fn by(holder: Option<&TicketInfo>) -> String {
    holder.map(|holder| format!(" by {} (pid {})", holder.command, holder.process.pid)).unwrap_or_default()
}

fn in_the_gate(holder: Option<&ProcessInfo>) -> String {
    let unseen = || "a process that cannot be seen".to_owned();
    holder.map_or_else(unseen, |holder| format!("{} (pid {})", holder.command, holder.id.pid))
}

impl LockError {
    /// What the system said, where it did.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Open { source, .. }
            | Self::Table { source, .. }
            | Self::System(OsError::Path { source, .. } | OsError::Call { source, .. }) => Some(source.kind()),
            _ => None,
        }
    }

    /// What to do about it; empty where nothing true can be said.
    pub fn suggestion(&self) -> &'static str {
        match self {
            Self::NetworkFileSystem { .. } => "run it on the machine where the file is: ssh HOST dbmux …",
            Self::Full { .. } => "try again later",
            Self::GateHeld { .. } => "let the stopped process go on, or end it",
            Self::NotALock { .. } => "dbmux keeps its locks there: move away what it is now, and try again",
            Self::Replaced { .. } => "the file for dbmux's locks must stay where it is: try again",
            Self::Emptied { .. } => "end whatever holds the locks (`dbmux stop`), and try again",
            Self::Format { .. } => "use the same version of dbmux everywhere",
            Self::Open { source, .. }
                if matches!(source.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
            {
                "dbmux keeps its locks in a file beside the database, and must be allowed to make it there"
            }
            _ => "",
        }
    }

    /// There is no such file.
    pub(crate) fn is_missing(&self) -> bool {
        !matches!(self, Self::Table { .. } | Self::System(OsError::Call { .. }))
            && self.io_kind() == Some(io::ErrorKind::NotFound)
    }
}
