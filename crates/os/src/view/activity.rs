//! Whether a process computes or waits: the states of its threads, and the call in which its first one sleeps.

use std::{fs, io};

use super::{Activity, Sight, Unseen, linux::unseen};

/// Calls in which programs wait for something to come, or for a time: event loops, prompts, `sleep`.
const WAITS: &[libc::c_long] = &[
    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    libc::SYS_poll,
    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    libc::SYS_select,
    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    libc::SYS_epoll_wait,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
];

pub(super) fn activity(pid: u32) -> Sight<Activity> {
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).map_err(|error| unseen(&error))?;
    if !waits_in(&call) {
        return Ok(Activity::Busy);
    }
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| unseen(&error))?;
    for thread in threads.filter_map(Result::ok) {
        match fs::read_to_string(thread.path().join("stat")) {
            Ok(stat) if computes(&stat) => return Ok(Activity::Busy),
            Ok(_) => {}
            // One of its threads has ended.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if unseen(&error) == Unseen::Gone => {}
            Err(_) => return Err(Unseen::Refused),
        }
    }
    Ok(Activity::Waits)
}

/// `0 0x0 …`: the call's number and its arguments; `running`, or -1, where it is in none.
fn waits_in(call: &str) -> bool {
    let mut words = call.split_whitespace();
    let number = words.next().and_then(|word| word.parse().ok());
    // Reading from standard input; from elsewhere it is work.
    let from_input = words.next() == Some("0x0");
    number.is_some_and(|number: libc::c_long| {
        WAITS.contains(&number) || (from_input && [libc::SYS_read, libc::SYS_readv].contains(&number))
    })
}

/// Running, or in the middle of reading or writing a disk.
fn computes(stat: &str) -> bool {
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    matches!(state, Some('R' | 'D'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_waiting_from_work() {
        let call = |number: libc::c_long, first: &str| format!("{number} {first} 0x7f 0x1 0x0 0x0 0x0 0x7ffd 0x7f8\n");
        assert!(waits_in(&call(libc::SYS_read, "0x0")));
        assert!(!waits_in(&call(libc::SYS_read, "0x5")));
        assert!(waits_in(&call(libc::SYS_epoll_pwait, "0x5")));
        assert!(!waits_in(&call(libc::SYS_futex, "0x0")));
        assert!(!waits_in("running\n"));
        assert!(!waits_in("-1 0x7ffd 0x7f\n"));
        assert!(!waits_in(""));
        assert!(computes("7 (a) R) R 1"));
        assert!(!computes("7 (a) R) S 1"));
    }
}
