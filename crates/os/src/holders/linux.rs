//! `/proc/locks`, joined with `/proc/PID/fdinfo`.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use super::{Access, Found, Who, hidden};
use crate::{OsError, fs_kind, process};

/// A line of `/proc/locks`, or of a `lock:` entry in `fdinfo`, that is a lock and not a waiter.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    ofd: bool,
    access: Access,
    /// -1 for a lock that belongs to no process; 0 for a process that our PID namespace does not show.
    pid: i64,
    inode: u64,
    first: u64,
    last: Option<u64>,
}

/// `1: POSIX  ADVISORY  WRITE 66618 fd:00:1234 0 EOF`
fn parse(line: &str) -> Option<Line> {
    let mut words = line.split_whitespace().skip(1);
    let kind = words.next()?;
    // A waiter is marked by an arrow; FLOCK and LEASE are not what databases use.
    let ofd = match kind {
        "POSIX" => false,
        "OFDLCK" => true,
        _ => return None,
    };
    let access = match words.nth(1)? {
        "WRITE" => Access::Write,
        "READ" => Access::Read,
        _ => return None,
    };
    let pid = words.next()?.parse().ok()?;
    let inode = words.next()?.rsplit(':').next()?.parse().ok()?;
    let first = words.next()?.parse().ok()?;
    let last = match words.next()? {
        "EOF" => None,
        last => Some(last.parse().ok()?),
    };
    Some(Line { ofd, access, pid, inode, first, last })
}

pub(super) fn locks_on(path: &Path) -> Result<Vec<Found>, OsError> {
    let file = match fs::metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(OsError::path("look at", path, error)),
    };
    let text = fs::read_to_string("/proc/locks").map_err(|error| OsError::path("read", "/proc/locks", error))?;
    let lines: Vec<_> = text.lines().filter_map(parse).filter(|line| line.inode == file.ino()).collect();
    if lines.is_empty() {
        // `/proc/locks` leaves out the POSIX locks of processes that our PID namespace does not show.
        return Ok(hidden::lock_on(path)?.into_iter().collect());
    }
    let remote = fs_kind::network_fs(path)?.is_some();
    let mut found = Vec::new();
    for line in lines {
        match u32::try_from(line.pid) {
            Ok(0) => found.push(line.held_by(if remote { Who::OtherHost } else { Who::OtherNamespace })),
            Ok(pid) => {
                // Inode numbers are unique in one file system only: the process must have this very file open.
                if let Some(true) | None = has_open(pid, file.dev(), file.ino()) {
                    found.extend(holder(pid).map(|who| line.held_by(who)));
                }
            }
            Err(_) => found.extend(find_description(&line, file.dev())),
        }
    }
    Ok(found)
}

impl Line {
    fn held_by(&self, who: Who) -> Found {
        let own = std::process::id();
        let mine = matches!(&who, Who::Process(process) if process.id.pid == own);
        Found { who, access: self.access, first: self.first, last: self.last, mine }
    }
}

/// `None`: it has ended in between.
fn holder(pid: u32) -> Option<Who> {
    process::info(pid).ok().map(|process| Who::Process(Box::new(process)))
}

/// Whether the process has the file open; `None`: we may not see that.
fn has_open(pid: u32, device: u64, inode: u64) -> Option<bool> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let is_it = |entry: fs::DirEntry| {
        // A `stat` through the link: it opens nothing.
        fs::metadata(entry.path()).is_ok_and(|file| file.dev() == device && file.ino() == inode)
    };
    Some(descriptors.filter_map(Result::ok).any(is_it))
}

/// Finds the processes that have the open file to which an OFD lock belongs.
fn find_description(line: &Line, device: u64) -> Vec<Found> {
    let mut found = Vec::new();
    let mut hidden = false;
    for pid in pids() {
        match descriptions(pid, device, line.inode) {
            Some(locks) if locks.iter().any(|lock| lock.ofd && lock.first == line.first && lock.last == line.last) => {
                found.extend(holder(pid).map(|who| line.held_by(who)));
            }
            Some(_) => {}
            None => hidden = true,
        }
    }
    if found.is_empty() {
        // Somebody has it: whom we may not see, or who is not in our PID namespace.
        found.push(line.held_by(if hidden { Who::Unknown } else { Who::OtherNamespace }));
    }
    found
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The locks on an inode that a process's open files have; `None`: we may not see them.
fn descriptions(pid: u32, device: u64, inode: u64) -> Option<Vec<Line>> {
    let entries = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(entries) => entries,
        // It has ended in between: it holds nothing.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Vec::new()),
        Err(_) => return None,
    };
    let mut locks = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let same = fs::metadata(entry.path()).is_ok_and(|file| file.dev() == device && file.ino() == inode);
        if !same {
            continue;
        }
        let info = format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_string_lossy());
        let text = fs::read_to_string(info).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.strip_prefix("lock:"));
        locks.extend(lines.filter_map(parse).filter(|lock| lock.inode == inode));
    }
    Some(locks)
}

pub(super) fn own_ofd_lock(device: u64, inode: u64) -> bool {
    let locks = descriptions(std::process::id(), device, inode).unwrap_or_default();
    locks.iter().any(|lock| lock.ofd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_locks_and_passes_over_waiters() {
        let line = parse("1: POSIX  ADVISORY  WRITE 66618 fd:00:1234 0 EOF").expect("a lock");
        assert_eq!(line, Line { ofd: false, access: Access::Write, pid: 66618, inode: 1234, first: 0, last: None });
        let line = parse("2: OFDLCK ADVISORY  READ -1 08:02:77 1073741826 1073742335").expect("a lock");
        assert!(line.ofd && line.pid == -1 && line.last == Some(1_073_742_335));
        assert_eq!(parse("1: -> POSIX  ADVISORY  WRITE 5 fd:00:1234 0 EOF"), None);
        assert_eq!(parse("3: FLOCK  ADVISORY  WRITE 5 fd:00:1234 0 EOF"), None);
    }
}
