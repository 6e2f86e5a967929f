//! Processes: who they are, whether they still are, and when they end.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

use std::{
    path::PathBuf,
    sync::{Arc, RwLock},
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

/// A variable of the environment that a process was started with; `None`: it has none, or it cannot be seen.
pub fn started_with(pid: u32, variable: &str) -> Option<String> {
    system::started_with(pid, variable)
}

/// Whether this process runs inside another one: it, or what started it, or what started that, and so on. `false` where
/// the system does not tell.
pub fn runs_inside(process: ProcessId) -> bool {
    is_inside(std::process::id(), process)
}

/// Whether a process runs inside another one, or is it. `false` where the system does not tell.
pub fn is_inside(pid: u32, process: ProcessId) -> bool {
    let mut inside = Some(pid);
    while let Some(pid) = inside.filter(|pid| *pid > 0) {
        if pid == process.pid {
            return is_alive(process);
        }
        inside = system::parent(pid);
    }
    false
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

/// The number of our PID namespace; 0 where there are none.
pub fn pid_namespace() -> u64 {
    own().namespace
}

/// What a process says of itself.
#[derive(Debug)]
pub struct OwnProcess {
    /// Its name; the start time is 0 where the system does not tell.
    pub id: ProcessId,
    /// Its arguments, joined by blanks.
    pub command: String,
    /// The number of its PID namespace.
    pub namespace: u64,
    /// Identifies the machine's present run, the same until the next start; `None`: the system does not tell.
    pub boot: Option<u128>,
}

/// This process; asked for once, and anew in a forked child, which may be in another namespace.
pub fn own() -> Arc<OwnProcess> {
    static KNOWN: RwLock<Option<(u32, Arc<OwnProcess>)>> = RwLock::new(None);
    let pid = crate::fork::own_pid();
    // Nobody waits for it: another thread may have had it when this process was forked, and is not here to give it back.
    if let Ok(known) = KNOWN.try_read()
        && let Some((of, own)) = known.as_ref()
        && *of == pid
    {
        return Arc::clone(own);
    }
    let seen = info(pid).ok();
    let id = seen.as_ref().map_or(ProcessId { pid, start_time: 0 }, |seen| seen.id);
    let command = seen.map(|seen| seen.command).unwrap_or_default();
    let own = Arc::new(OwnProcess { id, command, namespace: system::pid_namespace(), boot: system::boot_id() });
    if let Ok(mut known) = KNOWN.try_write() {
        *known = Some((pid, Arc::clone(&own)));
    }
    own
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
