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

/// Says a daemon's one word to whoever started it, on standard output, which leads nowhere from then on: its reader sees the
/// end. In one piece as far as the pipe takes it (at least `PIPE_BUF` bytes): a daemon that is killed meanwhile has said
/// all of it or nothing. Rust's own standard output would send the word in pieces, up to each byte that is a newline.
///
/// # Errors
/// When the reader is gone, or `/dev/null` cannot be opened; standard output is closed all the same, where it can be.
pub fn say_last(word: &[u8]) -> Result<(), OsError> {
    let said = write_all(word);
    close_standard_output()?;
    said
}

fn write_all(mut bytes: &[u8]) -> Result<(), OsError> {
    while !bytes.is_empty() {
        match rustix::io::retry_on_intr(|| rustix::io::write(rustix::stdio::stdout(), bytes)) {
            Ok(0) => return Err(OsError::call("write", rustix::io::Errno::IO)),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) => return Err(OsError::call("write", error)),
        }
    }
    Ok(())
}

fn close_standard_output() -> Result<(), OsError> {
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
