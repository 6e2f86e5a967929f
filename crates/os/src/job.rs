//! What this process is to the shell and the terminal that it was started from: which signals it was told to ignore, whether
//! a hangup is told to it alone, and whether somebody sees when it stops.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt};

use rustix::process::{getpgid, getpgrp, getpid, getppid, getsid};

/// Whether this process ignores a signal: `nohup` starts its command so, and a shell without job control what it puts into
/// the background. What a process ignores, those that it starts ignore too.
pub fn ignores(signal: i32) -> bool {
    // SAFETY: zero is a valid value of a plain struct of the kernel's.
    let mut found = unsafe { std::mem::zeroed::<libc::sigaction>() };
    // SAFETY: nothing is set; `found` is ours.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut found) };
    asked == 0 && found.sa_sigaction == libc::SIG_IGN
}

/// Whether this process leads its session: of the terminal's end the kernel tells nobody else.
pub fn leads_session() -> bool {
    getsid(None).is_ok_and(|session| session == getpid())
}

/// Whether whoever started this process is a shell that sees when it stops, and can continue it: one with a terminal, which
/// has put it into a process group of its own. Elsewhere nobody would continue it.
pub fn is_watched() -> bool {
    let group_of_parent = getppid().filter(|parent| getsid(Some(*parent)).ok() == getsid(None).ok());
    let apart = group_of_parent.is_some_and(|parent| getpgid(Some(parent)).is_ok_and(|group| group != getpgrp()));
    apart && has_terminal()
}

fn has_terminal() -> bool {
    // It can be opened by those alone that have one.
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open("/dev/tty").is_ok()
}

/// Stops this process by a signal that stops, and returns when it has been continued.
pub fn stop(signal: i32) {
    let signal = if ignores(signal) { libc::SIGSTOP } else { signal };
    // SAFETY: one call, without memory of ours. To this very thread: it does not go on before all of them have stopped.
    unsafe {
        libc::raise(signal);
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::CommandExt, process::Command};

    use super::*;

    #[test]
    fn what_is_ignored_is_known() {
        // Rust's start-up ignores it.
        assert!(ignores(libc::SIGPIPE));
        assert!(!ignores(libc::SIGUSR2));
        assert!(!ignores(9999), "there is no such signal");
    }

    /// A process without a terminal, in a group of its own, is watched by nobody.
    #[test]
    fn nobody_watches_without_a_terminal() {
        const AGAIN: &str = "DBMUX_TEST_OF_JOBS";
        if std::env::var_os(AGAIN).is_some() {
            assert!(!leads_session() && !is_watched());
            return;
        }
        let mut again = Command::new("setsid");
        again.args(["sh", "-mc", "\"$0\" --exact job::tests::nobody_watches_without_a_terminal; exit $?"]);
        again.arg(std::env::current_exe().expect("this program")).env(AGAIN, "1").process_group(0);
        assert!(again.output().expect("a run").status.success());
    }
}
