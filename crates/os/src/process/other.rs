//! Processes where neither `/proc` nor pidfd is: nothing is known of others, and that is said.

use std::time::{Duration, SystemTime};

use super::{ProcessId, ProcessInfo, user_name};
use crate::OsError;

const UNSUPPORTED: OsError = OsError::Unsupported { what: "looking at another process" };

pub(super) fn id(pid: u32) -> Result<ProcessId, OsError> {
    if pid == std::process::id() { Ok(ProcessId { pid, start_time: 0 }) } else { Err(UNSUPPORTED) }
}

pub(super) fn info(pid: u32) -> Result<ProcessInfo, OsError> {
    let uid = rustix::process::getuid().as_raw();
    Ok(ProcessInfo {
        id: id(pid)?,
        command: std::env::args().collect::<Vec<_>>().join(" "),
        uid,
        user: user_name(uid),
        working_directory: std::env::current_dir().ok(),
        started: SystemTime::now(),
        stopped: false,
    })
}

pub(super) fn parent(_pid: u32) -> Option<u32> {
    None
}

pub(super) fn resident_memory(_pid: u32) -> Option<u64> {
    None
}

pub(super) fn boot_id() -> Option<u128> {
    None
}

pub(super) fn pid_namespace() -> u64 {
    0
}

/// Waits for a process's end: not here.
#[derive(Debug)]
pub struct ExitWatch {}

impl ExitWatch {
    /// Begins to watch.
    ///
    /// # Errors
    /// Always: this system has no way that we use.
    pub fn open(_process: ProcessId) -> Result<Self, OsError> {
        Err(UNSUPPORTED)
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// Always.
    pub fn wait(&self, _timeout: Option<Duration>) -> Result<bool, OsError> {
        Err(UNSUPPORTED)
    }
}

pub(super) fn started_with(_pid: u32, _variable: &str) -> Option<String> {
    None
}
