//! What a process does to become a daemon, and to give memory back.

use crate::OsError;

/// Leaves the starter's session, so that its terminal's signals do not reach this process.
///
/// # Errors
/// When this process leads a process group already; it is then detached enough.
pub fn leave_session() -> Result<(), OsError> {
    rustix::process::setsid().map(drop).map_err(|error| OsError::call("setsid", error))
}

/// Makes standard output lead nowhere, so that whoever reads it sees its end.
///
/// # Errors
/// When `/dev/null` cannot be opened.
pub fn close_standard_output() -> Result<(), OsError> {
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null");
    let null = null.map_err(|error| OsError::path("open", "/dev/null", error))?;
    rustix::stdio::dup2_stdout(&null).map_err(|error| OsError::call("dup2", error))
}

/// Gives freed memory back to the system, where the allocator keeps it otherwise.
pub fn trim_heap() {
    // SAFETY: no arguments that could be wrong; the call is thread-safe.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::malloc_trim(0);
    }
}
