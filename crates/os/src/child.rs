//! Processes that we start: what they keep open, signals to them, and their end.

use std::{
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::OsError;

/// Keeps a descriptor open in the process that this command starts, and in those to which it leaves its open files. This
/// process keeps it as long as the command.
pub fn keep_open(command: &mut Command, descriptor: OwnedFd) {
    let inherit = move || {
        // SAFETY: one call that a forked child may make; the closure owns the descriptor.
        match unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_SETFD, 0) } {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        }
    };
    // SAFETY: it runs in the forked child and makes that one call.
    unsafe {
        command.pre_exec(inherit);
    }
}

fn pid_of(child: u32) -> Result<Pid, OsError> {
    i32::try_from(child).ok().and_then(Pid::from_raw).ok_or(OsError::NoSuchProcess { pid: child })
}

/// Sends a signal, by its number, to a child that has not been reaped.
///
/// # Errors
/// When there is no such signal, or no such child.
pub fn signal(child: u32, signal: i32) -> Result<(), OsError> {
    let unknown = || OsError::call("send a signal", std::io::Error::from(std::io::ErrorKind::InvalidInput));
    let signal = Signal::from_named_raw(signal).ok_or_else(unknown)?;
    kill_process(pid_of(child)?, signal).map_err(|error| OsError::call("send a signal", error))
}

/// Waits until a child has ended, and leaves it to be reaped: until then its number is nobody else's.
///
/// # Errors
/// When it is no child of ours.
pub fn until_ended(child: &Child) -> Result<(), OsError> {
    let pid = pid_of(child.id())?;
    loop {
        match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(OsError::call("wait for a child", error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        os::{fd::AsFd, unix::process::ExitStatusExt},
    };

    use super::*;

    #[test]
    fn a_child_keeps_what_it_is_given_and_nothing_else() {
        let named = tempfile::NamedTempFile::new().expect("a file");
        let given = File::open(named.path()).expect("a file").as_fd().try_clone_to_owned().expect("a descriptor");
        let kept_back = File::open(named.path()).expect("a file");
        let list = format!("test -e /dev/fd/{} && test ! -e /dev/fd/{}", given.as_raw_fd(), kept_back.as_raw_fd());
        let mut command = Command::new("sh");
        command.args(["-c", &list]);
        keep_open(&mut command, given);
        assert!(command.status().expect("a child").success());
    }

    #[test]
    fn a_signal_reaches_a_child_and_its_end_is_seen() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("a child");
        assert!(signal(child.id(), 9999).is_err(), "there is no such signal");
        signal(child.id(), libc::SIGTERM).expect("a signal");
        until_ended(&child).expect("it ends");
        assert_eq!(child.wait().expect("it is left to be reaped").signal(), Some(libc::SIGTERM));
        assert!(until_ended(&child).is_err(), "it is nobody's by now");
    }
}
