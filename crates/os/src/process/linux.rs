//! Processes on Linux: `/proc` and pidfd.

use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::{ProcessId, ProcessInfo, user_name};
use crate::OsError;

/// Clock ticks in a second, as `/proc` counts them: fixed for user space on every architecture of Linux.
const TICKS_PER_SECOND: u64 = 100;

/// What `/proc/PID/stat` says.
struct Stat {
    name: String,
    state: char,
    parent: u32,
    threads: u64,
    start_time: u64,
}

impl Stat {
    /// It only waits to be counted, and has let go of everything. A leader that waits while other threads of its process
    /// still end keeps the process's files open, and their locks.
    fn ended(&self) -> bool {
        self.state == 'X' || (self.state == 'Z' && self.threads <= 1)
    }
}

fn stat(pid: u32) -> Result<Stat, OsError> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|_| OsError::NoSuchProcess { pid })?;
    parse_stat(&text).ok_or(OsError::NoSuchProcess { pid })
}

/// The name stands in parentheses and may hold any character; the rest begins after the last of them.
fn parse_stat(text: &str) -> Option<Stat> {
    let (head, rest) = text.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    // Fields 4, 20 and 22 of the line; `fields` is behind field 3.
    let parent = fields.next()?.parse().ok()?;
    let threads = fields.nth(15)?.parse().ok()?;
    let start_time = fields.nth(1)?.parse().ok()?;
    Some(Stat { name: name.to_owned(), state, parent, threads, start_time })
}

pub(super) fn id(pid: u32) -> Result<ProcessId, OsError> {
    let stat = stat(pid)?;
    if stat.ended() {
        return Err(OsError::NoSuchProcess { pid });
    }
    Ok(ProcessId { pid, start_time: stat.start_time })
}

pub(super) fn parent(pid: u32) -> Option<u32> {
    stat(pid).ok().map(|stat| stat.parent)
}

pub(super) fn info(pid: u32) -> Result<ProcessInfo, OsError> {
    use std::os::unix::fs::MetadataExt;
    let stat = stat(pid)?;
    let uid = fs::metadata(format!("/proc/{pid}")).map_err(|_| OsError::NoSuchProcess { pid })?.uid();
    Ok(ProcessInfo {
        id: ProcessId { pid, start_time: stat.start_time },
        command: command(pid).unwrap_or_else(|| format!("[{}]", stat.name)),
        uid,
        user: user_name(uid),
        working_directory: fs::read_link(format!("/proc/{pid}/cwd")).ok(),
        started: started(stat.start_time),
        stopped: matches!(stat.state, 'T' | 't'),
    })
}

fn command(pid: u32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> =
        bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty()).map(String::from_utf8_lossy).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

pub(super) fn started_with(pid: u32, variable: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut values = environment.split(|byte| *byte == 0).filter_map(|entry| {
        let value = entry.strip_prefix(variable.as_bytes())?.strip_prefix(b"=")?;
        Some(String::from_utf8_lossy(value).into_owned())
    });
    values.next()
}

fn started(ticks: u64) -> SystemTime {
    let since_boot = Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND);
    let up = fs::read_to_string("/proc/uptime").ok();
    let up = up.and_then(|text| text.split(' ').next()?.parse::<f64>().ok()).unwrap_or_default();
    let age = Duration::from_secs_f64(up).saturating_sub(since_boot);
    SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH)
}

pub(super) fn resident_memory(pid: u32) -> Option<u64> {
    let pages: u64 = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

pub(super) fn boot_id() -> Option<u128> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    u128::from_str_radix(&text.trim().replace('-', ""), 16).ok()
}

pub(super) fn pid_namespace() -> u64 {
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_else(|_| PathBuf::new());
    let text = link.to_string_lossy();
    text.trim_start_matches("pid:[").trim_end_matches(']').parse().unwrap_or_default()
}

/// Waits for a process's end without asking again and again.
#[derive(Debug)]
pub struct ExitWatch {
    pidfd: OwnedFd,
}

impl ExitWatch {
    /// Begins to watch.
    ///
    /// # Errors
    /// [`OsError::NoSuchProcess`] when it has ended already.
    pub fn open(process: ProcessId) -> Result<Self, OsError> {
        let gone = || OsError::NoSuchProcess { pid: process.pid };
        let raw = i32::try_from(process.pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
        let pidfd = pidfd_open(raw, PidfdFlags::empty()).map_err(|error| match error {
            rustix::io::Errno::SRCH => gone(),
            error => OsError::call("pidfd_open", error),
        })?;
        // The number may have been given to another process before we opened it.
        if id(process.pid)? != process {
            return Err(gone());
        }
        Ok(Self { pidfd })
    }

    /// Waits for the end; `None` waits for ever. Tells whether it has ended.
    ///
    /// # Errors
    /// When the kernel refuses to wait.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool, OsError> {
        let end = timeout.and_then(|timeout| std::time::Instant::now().checked_add(timeout));
        loop {
            let left = end.map(|end| end.saturating_duration_since(std::time::Instant::now()));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let mut polled = [PollFd::new(&self.pidfd, PollFlags::IN)];
            match poll(&mut polled, left.as_ref()) {
                Ok(0) => return Ok(false),
                Ok(_) => return Ok(true),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(OsError::call("poll", io::Error::from(error))),
            }
        }
    }
}

impl AsFd for ExitWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_name_that_tries_to_confuse() {
        let mut line = "42 (a) b (c) S".to_owned();
        for field in 4..=22 {
            line.push_str(&format!(" {field}"));
        }
        let stat = parse_stat(&line).expect("it can be read");
        assert_eq!(
            (stat.name.as_str(), stat.state, stat.parent, stat.threads, stat.start_time),
            ("a) b (c", 'S', 4, 20, 22)
        );
    }

    #[test]
    fn sees_a_process_stop_and_end() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("a child");
        let process = id(child.id()).expect("it runs");
        let watch = ExitWatch::open(process).expect("it can be watched");
        assert!(!watch.wait(Some(Duration::from_millis(10))).expect("a wait"));
        let pid = Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("a signal");
        while !info(child.id()).expect("it is there").stopped {
            std::thread::yield_now();
        }
        assert!(super::super::is_alive(process), "a stopped process is alive");
        child.kill().expect("a kill");
        assert!(watch.wait(Some(Duration::from_secs(10))).expect("a wait"));
        child.wait().expect("reaped");
        assert!(!super::super::is_alive(process));
        assert!(matches!(ExitWatch::open(process), Err(OsError::NoSuchProcess { .. })));
    }
}
