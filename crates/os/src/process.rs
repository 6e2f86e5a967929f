//! Processes: who they are, whether they still are, and when they end.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

use std::{
    path::PathBuf,
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, SystemTime},
};

#[cfg(target_os = "linux")]
use self::linux as system;
#[cfg(not(target_os = "linux"))]
use self::other as system;
pub use self::system::ExitWatch;
use crate::OsError;

/// Names a process: its number and when it started, for numbers are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessId {
    /// In our PID namespace.
    pub pid: u32,
    /// In clock ticks since the machine's start.
    pub start_time: u64,
}

/// What is to be seen of a process.
#[derive(Debug, Clone)]
pub struct ProcessInfo {
    /// Its name.
    pub id: ProcessId,
    /// Its arguments, joined by blanks; its short name in brackets where they are hidden.
    pub command: String,
    /// Its user's number.
    pub uid: u32,
    /// Its user's name, or number where there is no name.
    pub user: String,
    /// Where it is; `None`: hidden.
    pub working_directory: Option<PathBuf>,
    /// When it started.
    pub started: SystemTime,
    /// It is stopped, by Ctrl-Z or a debugger: it keeps its locks and does nothing.
    pub stopped: bool,
}

/// This process.
///
/// # Errors
/// Where the system does not tell.
pub fn current() -> Result<ProcessInfo, OsError> {
    info(std::process::id())
}

/// A process by its number.
///
/// # Errors
/// [`OsError::NoSuchProcess`] when there is none.
pub fn info(pid: u32) -> Result<ProcessInfo, OsError> {
    system::info(pid)
}

/// A process's name by its number; cheaper than [`info`].
///
/// # Errors
/// [`OsError::NoSuchProcess`] when there is none.
pub fn id(pid: u32) -> Result<ProcessId, OsError> {
    system::id(pid)
}

/// Whether this very process still runs.
pub fn is_alive(process: ProcessId) -> bool {
    id(process.pid).is_ok_and(|found| found == process)
}

/// Resident memory, in bytes.
pub fn resident_memory(pid: u32) -> Option<u64> {
    system::resident_memory(pid)
}

/// Identifies the machine's present run; the same until the next start.
pub fn boot_id() -> Option<u128> {
    static BOOT: OnceLock<Option<u128>> = OnceLock::new();
    *BOOT.get_or_init(system::boot_id)
}

/// The number of our PID namespace; 0 where there are none.
pub fn pid_namespace() -> u64 {
    /// The process that asked last, and its answer: a forked child may be in another one.
    static KNOWN: Mutex<Option<(u32, u64)>> = Mutex::new(None);
    let own = std::process::id();
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    match *known {
        Some((pid, namespace)) if pid == own => namespace,
        _ => {
            let namespace = system::pid_namespace();
            *known = Some((own, namespace));
            namespace
        }
    }
}

/// A user's name, or number where there is no name.
pub fn user_name(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse::<u32>().ok()? == uid).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| uid.to_string())
}

impl ProcessInfo {
    /// How long it has been running.
    pub fn age(&self) -> Duration {
        self.started.elapsed().unwrap_or_default()
    }
}
