//! What a process does to become a daemon, and to give memory back.

use crate::OsError;

/// Leaves the starter's session, so that its terminal's signals do not reach this process.
///
/// # Errors
/// When this process leads a process group already; it is then detached enough.
pub fn leave_session() -> Result<(), OsError> {
    rustix::process::setsid().map(drop).map_err(|error| OsError::call("setsid", error))
}

/// Closes the files that whoever started this process has left open to it, but for the standard streams: a daemon must not
/// keep another's lock. To be called before this process opens any itself.
pub fn close_inherited_files() {
    // SAFETY: nobody in this process knows of these descriptors yet. Where the kernel does not know the call, they stay.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
    }
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
