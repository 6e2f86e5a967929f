//! Who a process is: its number *and* when it started, for numbers are used again.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use crate::{OsError, sys};

pub use crate::sys::ExitWatch;

/// A process, told apart from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId {
    /// The process's number, as this PID namespace sees it.
    pub pid: u32,
    /// When it started, in the kernel's own ticks since boot.
    pub start_time: u64,
}

impl std::fmt::Display for ProcessId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.pid)
    }
}

impl ProcessId {
    /// Finds the process that has this number now.
    ///
    /// # Errors
    /// [`OsError::Gone`] when there is none.
    pub fn of(pid: u32) -> Result<Self, OsError> {
        sys::process_id(pid)
    }

    /// Says whether the process still runs (a zombie does not).
    #[must_use]
    pub fn is_alive(self) -> bool {
        sys::is_alive(self)
    }
}

/// What can be seen of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Which process.
    pub id: ProcessId,
    /// Its arguments, joined by blanks; its short name in brackets where it has none.
    pub command: String,
    /// The program's file, where we may see it.
    pub executable: Option<PathBuf>,
    /// The name of its user; the number where it has no name.
    pub user: String,
    /// The number of its user.
    pub uid: u32,
    /// Its working directory, where we may see it.
    pub working_directory: Option<PathBuf>,
    /// When it started.
    pub started: SystemTime,
    /// It was stopped by a signal or a debugger, and does not go on by itself.
    pub stopped: bool,
    /// The number of its PID namespace, where we may see it.
    pub pid_namespace: Option<u64>,
}

/// Looks a process up.
///
/// # Errors
/// [`OsError::Gone`] when there is none with this number.
pub fn info(pid: u32) -> Result<ProcessInfo, OsError> {
    sys::process_info(pid)
}

/// Looks the calling process up.
///
/// # Errors
/// [`OsError::Process`] when the system does not say.
pub fn current() -> Result<ProcessInfo, OsError> {
    info(std::process::id())
}

/// The calling process's identity, read once (and once more in a forked child).
///
/// # Errors
/// [`OsError::Process`] when the system does not say.
pub fn current_id() -> Result<ProcessId, OsError> {
    sys::current_id()
}

/// The number of the calling process's PID namespace; 0 where there is no such thing.
#[must_use]
pub fn current_pid_namespace() -> u64 {
    sys::pid_namespace_of_self()
}

/// The memory of a process that is in RAM now, in bytes.
///
/// # Errors
/// [`OsError::Gone`] when there is no such process.
pub fn resident_memory(pid: u32) -> Result<u64, OsError> {
    sys::resident_memory(pid)
}

/// The name of a user; the number as text where the system has no name for it.
#[must_use]
pub fn user_name(uid: u32) -> String {
    sys::user_name(uid).unwrap_or_else(|| uid.to_string())
}

/// An identity of this boot of the machine.
///
/// # Errors
/// [`OsError::Path`] when the system does not say.
pub fn boot_id() -> Result<u128, OsError> {
    sys::boot_id()
}

impl ExitWatch {
    /// Waits until a process has ended, for at most `limit`; says whether it has. A process that ended before is one
    /// that has ended.
    ///
    /// # Errors
    /// [`OsError::Process`] when it cannot be watched.
    pub fn until_gone(process: ProcessId, limit: Option<Duration>) -> Result<bool, OsError> {
        match Self::open(process) {
            Ok(watch) => watch.wait(limit),
            Err(OsError::Gone { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
