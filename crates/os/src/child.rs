//! Processes that we start: what they keep open, signals to them, and their end.

use std::{
    io::{PipeReader, PipeWriter, Read, Write},
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
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

/// Starts a command whose program begins only after `before`, which is told the process's number, has answered `true`:
/// nothing that it does can come before that. Where `before` answers `false`, or this process ends first, it never begins.
///
/// # Errors
/// When it cannot be started, or `before` would not have it.
pub fn spawn_after(mut command: Command, before: impl FnOnce(u32) -> bool) -> std::io::Result<Child> {
    let (mut number, tell) = std::io::pipe()?;
    let (permission, permit) = std::io::pipe()?;
    ask_first(&mut command, tell.as_raw_fd(), permission, permit.as_raw_fd());
    std::thread::scope(|scope| {
        // It returns when the program has begun.
        let spawned = scope.spawn(move || {
            let child = command.spawn();
            // Closed: where there is no process, nobody waits for its number.
            drop(tell);
            child
        });
        if let Some(pid) = read_number(&mut number)
            && before(pid)
        {
            permit_one(&permit);
        }
        drop(permit);
        spawned.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn read_number(from: &mut PipeReader) -> Option<u32> {
    let mut number = [0; 4];
    from.read_exact(&mut number).ok()?;
    Some(u32::from_ne_bytes(number))
}

fn permit_one(mut permit: &PipeWriter) {
    // Where it fails, the process has been killed: its end is seen by whoever waits for it.
    let _ = permit.write_all(&[1]);
}

/// Has the forked child tell its number, and wait for one byte.
fn ask_first(command: &mut Command, tell: RawFd, mut permission: PipeReader, permit: RawFd) {
    let ask = move || {
        // SAFETY: calls that a forked child may make. `permit` is this process's copy, which nothing else uses: as long as
        // it is open, the end of the parent is not seen.
        unsafe {
            libc::close(permit);
            let number = libc::getpid().to_ne_bytes();
            if libc::write(tell, number.as_ptr().cast(), number.len()) != 4 {
                return Err(std::io::Error::last_os_error());
            }
        }
        permission.read_exact(&mut [0]).map_err(|_| std::io::Error::from_raw_os_error(libc::ECANCELED))
    };
    // SAFETY: it runs in the forked child, makes calls that one may make, and allocates nothing.
    unsafe {
        command.pre_exec(ask);
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

/// What has become of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It has ended, and is left to be reaped: until then its number is nobody else's.
    Ended,
    /// It has stopped: by Ctrl-Z, or by itself. Told until [`take_stop`], or until it goes on.
    Stopped,
}

/// Waits until a child has ended or stopped.
///
/// # Errors
/// When it is no child of ours.
pub fn until_changed(child: u32) -> Result<Change, OsError> {
    let pid = pid_of(child)?;
    loop {
        match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT) {
            Ok(Some(status)) if status.stopped() => return Ok(Change::Stopped),
            Ok(_) => return Ok(Change::Ended),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(OsError::call("wait for a child", error)),
        }
    }
}

/// Takes note of a child's stop, so that the next wait is for something new. The signal that stopped it; `None`: it goes on
/// again, or has ended.
pub fn take_stop(child: u32) -> Option<i32> {
    let status = waitid(WaitId::Pid(pid_of(child).ok()?), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG);
    status.ok().flatten().and_then(|status| status.stopping_signal())
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
    fn a_program_begins_when_it_may_and_never_without() {
        let place = tempfile::tempdir().expect("a directory");
        let mark = place.path().join("mark");
        let touch = || {
            let mut command = Command::new("sh");
            command.args(["-c", "echo $$ > \"$0\""]).arg(&mark);
            command
        };
        let refused = spawn_after(touch(), |_| false).expect_err("it may not");
        assert_eq!(refused.raw_os_error(), Some(libc::ECANCELED));
        assert!(!mark.exists());
        let mut told = 0;
        let child = spawn_after(touch(), |pid| {
            told = pid;
            !mark.exists()
        });
        let mut child = child.expect("it may");
        assert!(child.wait().expect("its end").success());
        assert_eq!((told, std::fs::read_to_string(&mark).expect("a mark")), (child.id(), format!("{told}\n")));
        let missing = spawn_after(Command::new("/nothing/like/it"), |_| true).expect_err("there is none");
        assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    }

    #[test]
    fn a_signal_reaches_a_child_and_its_end_is_seen() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("a child");
        assert!(signal(child.id(), 9999).is_err(), "there is no such signal");
        signal(child.id(), libc::SIGTERM).expect("a signal");
        assert_eq!(until_changed(child.id()).expect("it is ours"), Change::Ended);
        assert_eq!(take_stop(child.id()), None);
        assert_eq!(child.wait().expect("it is left to be reaped").signal(), Some(libc::SIGTERM));
        assert!(until_changed(child.id()).is_err(), "it is nobody's by now");
    }

    #[test]
    fn a_childs_stop_is_seen_until_it_is_taken_note_of() {
        let mut child =
            Command::new("sh").args(["-c", "kill -STOP $$; kill -TSTP $$; exit 3"]).spawn().expect("a child");
        for stop in [libc::SIGSTOP, libc::SIGTSTP] {
            for _ in 0..2 {
                assert_eq!(until_changed(child.id()).expect("it is ours"), Change::Stopped);
            }
            assert_eq!((take_stop(child.id()), take_stop(child.id())), (Some(stop), None));
            signal(child.id(), libc::SIGCONT).expect("a signal");
        }
        assert_eq!(until_changed(child.id()).expect("it is ours"), Change::Ended);
        assert_eq!(child.wait().expect("its end").code(), Some(3));
    }
}
