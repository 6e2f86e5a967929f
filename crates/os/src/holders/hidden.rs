//! POSIX locks of processes outside our PID namespace: `/proc/locks` leaves them out, `F_GETLK` does not.
//!
//! `F_GETLK` needs a descriptor, and closing one drops the process's own POSIX locks on the file: so a forked child, which
//! inherits none of those, opens the file, asks, tells through a pipe, and ends. It calls only what a forked child of a
//! threaded program may call. In the machine's first PID namespace nothing is hidden, and no child is made.

use std::{
    ffi::CString,
    fs::File,
    io::Read,
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    path::Path,
};

use super::{Access, Found, Who};
use crate::{OsError, process};

/// The first PID namespace's number (`PROC_PID_INIT_INO`, linux/proc_ns.h).
const FIRST_NAMESPACE: u64 = 0xEFFF_FFFC;
/// Kind, first byte, and length (0: to the end).
const ANSWER: usize = 24;

/// The lock of a hidden process that is in the way of a writer, if there is one.
pub(super) fn lock_on(path: &Path) -> Result<Option<Found>, OsError> {
    if process::pid_namespace() == FIRST_NAMESPACE {
        return Ok(None);
    }
    Ok(ask(path)?.and_then(|[kind, first, length]| {
        let access = match i32::try_from(kind).ok()? {
            libc::F_WRLCK => Access::Write,
            libc::F_RDLCK => Access::Read,
            _ => return None,
        };
        let last = (length != 0).then(|| first.saturating_add(length - 1));
        Some(Found { who: Who::OtherNamespace, access, first, last, mine: false })
    }))
}

/// `None`: nobody hidden has a lock, or the file cannot be opened.
fn ask(path: &Path) -> Result<Option<[u64; 3]>, OsError> {
    let Ok(name) = CString::new(path.as_os_str().as_bytes()) else { return Ok(None) };
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|error| OsError::call("make a pipe", error))?;
    let output = writer.as_raw_fd();
    // SAFETY: the child calls only async-signal-safe functions, on memory made before the fork, and ends by `_exit`.
    let child = unsafe {
        match libc::fork() {
            -1 => return Err(OsError::call("fork", std::io::Error::last_os_error())),
            0 => {
                answer(&name, output);
                libc::_exit(0)
            }
            child => child,
        }
    };
    drop(writer);
    let mut bytes = [0; ANSWER];
    let read = File::from(reader).read_exact(&mut bytes);
    // SAFETY: our own child, waited for once; where the program ignores SIGCHLD there is nothing to wait for.
    unsafe {
        while libc::waitpid(child, std::ptr::null_mut(), 0) == -1
            && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
        {}
    }
    let (words, _) = bytes.as_chunks::<8>();
    Ok(match (read, words) {
        (Ok(()), [kind, first, length]) => {
            Some([u64::from_ne_bytes(*kind), u64::from_ne_bytes(*first), u64::from_ne_bytes(*length)])
        }
        _ => None,
    })
}

/// In the child: writes the answer, or nothing.
///
/// # Safety
/// Only for a forked child that ends afterwards.
unsafe fn answer(name: &CString, output: i32) {
    // SAFETY: `name` ends with a zero, the structures outlive the calls.
    unsafe {
        let file = libc::open(name.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK);
        let mut lock: libc::flock = std::mem::zeroed();
        lock.l_type = libc::F_WRLCK as libc::c_short;
        let asked = file != -1 && libc::fcntl(file, libc::F_GETLK, &raw mut lock) == 0;
        // Only the pid 0 is somebody hidden; other holders are in `/proc/locks`.
        if asked && i32::from(lock.l_type) != libc::F_UNLCK && lock.l_pid == 0 {
            let answer = [lock.l_type as u64, lock.l_start as u64, lock.l_len as u64];
            libc::write(output, answer.as_ptr().cast(), ANSWER);
        }
    }
}
