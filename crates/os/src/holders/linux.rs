//! `/proc/locks`, joined with `/proc/PID/fdinfo`.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use super::{Access, Found, Who, hidden, layout};
use crate::{
    OsError,
    file_id::FileId,
    fs_kind,
    process::{self, ProcessInfo},
};

/// What kind of lock it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Belongs to a process.
    Posix,
    /// Belongs to an open file.
    Ofd,
    /// Belongs to an open file, and is of the whole of it.
    Flock,
}

/// A line of `/proc/locks`, or of a `lock:` entry in `fdinfo`, that is a lock and not a waiter.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    kind: Kind,
    access: Access,
    /// -1 for a lock that belongs to no process; 0 for a process that our PID namespace does not show.
    pid: i64,
    /// The file system's, major and minor.
    device: (u32, u32),
    inode: u64,
    first: u64,
    last: Option<u64>,
}

/// `1: POSIX  ADVISORY  WRITE 66618 fd:00:1234 0 EOF`
fn parse(line: &str) -> Option<Line> {
    let mut words = line.split_whitespace().skip(1);
    // A waiter is marked by an arrow; leases are nobody's lock.
    let kind = match words.next()? {
        "POSIX" => Kind::Posix,
        "OFDLCK" => Kind::Ofd,
        "FLOCK" => Kind::Flock,
        _ => return None,
    };
    let access = match words.nth(1)? {
        "WRITE" => Access::Write,
        "READ" => Access::Read,
        _ => return None,
    };
    let pid = words.next()?.parse().ok()?;
    let mut file = words.next()?.split(':');
    let mut device = || u32::from_str_radix(file.next()?, 16).ok();
    let device = (device()?, device()?);
    let inode = file.next()?.parse().ok()?;
    let first = words.next()?.parse().ok()?;
    let last = match words.next()? {
        "EOF" => None,
        last => Some(last.parse().ok()?),
    };
    Some(Line { kind, access, pid, device, inode, first, last })
}

/// The devices by which the kernel may call a file's file system: the one that `stat` tells, and the one of its mount,
/// which is another one on btrfs.
fn devices(path: &Path, device: u64) -> Vec<(u32, u32)> {
    let told = (rustix::fs::major(device), rustix::fs::minor(device));
    let (flags, mask) = (rustix::fs::AtFlags::empty(), rustix::fs::StatxFlags::MNT_ID);
    let mount = rustix::fs::statx(rustix::fs::CWD, path, flags, mask).ok().map(|found| found.stx_mnt_id);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    std::iter::once(told).chain(mount.and_then(|mount| mount_device(&mounts, mount))).collect()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime …`
fn mount_device(mounts: &str, id: u64) -> Option<(u32, u32)> {
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        if words.next()?.parse() != Ok(id) {
            return None;
        }
        let (major, minor) = words.nth(1)?.split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    })
}

/// The locks of the whole machine.
const TABLE: &str = "/proc/locks";

/// What the kernel tells of it in one go, in bytes: a page.
const AT_ONCE: usize = 4096;

/// A line of the table is no longer than this, in bytes.
const LONGEST_LINE: usize = 128;

/// The locks on files of this inode number, of the whole machine: of the kinds that are wanted.
///
/// Of a table that is longer than a page the kernel passes over a line when one before it goes between two pages, and
/// tells one again when others come. It is read twice then, and what either has counts, once; where neither has anything,
/// what each process's open files tell.
fn lines_on(file: FileId, wanted: &[Kind]) -> io::Result<Vec<Line>> {
    let is_one = |line: &Line| line.inode == file.inode && wanted.contains(&line.kind);
    let of = |text: &str| text.lines().filter_map(parse).filter(is_one).collect::<Vec<_>>();
    let text = table()?;
    let mut lines = Vec::new();
    add_new(&mut lines, of(&text));
    if text.len() < AT_ONCE - LONGEST_LINE {
        return Ok(lines);
    }
    add_new(&mut lines, of(&table()?));
    if lines.is_empty() {
        let told = pids().filter_map(|pid| descriptions(pid, file)).flatten();
        add_new(&mut lines, told.filter(is_one));
    }
    Ok(lines)
}

/// The table, with room for a page from the first read on. The kernel tells what is asked for in one go: of a read that asks
/// for a few bytes to find out how much there is, as `fs::read_to_string` does, it would tell one line, and pass over others
/// that move up before the next read.
fn table() -> io::Result<String> {
    let mut text = String::with_capacity(4 * AT_ONCE);
    fs::File::open(TABLE)?.read_to_string(&mut text)?;
    Ok(text)
}

fn add_new(lines: &mut Vec<Line>, told: impl IntoIterator<Item = Line>) {
    for line in told {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
}

pub(super) fn locks_on(path: &Path) -> Result<Vec<Found>, OsError> {
    let file = match FileId::of_path(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(OsError::path("look at", path, error)),
    };
    let lines = lines_on(file, &[Kind::Posix, Kind::Ofd]).map_err(|error| OsError::path("read", TABLE, error))?;
    let mut found = Vec::new();
    if !lines.is_empty() {
        let remote = fs_kind::network_fs(path)?.is_some();
        // Inode numbers are unique in one file system only.
        let devices = devices(path, file.device);
        for line in lines {
            found.extend(holders(&line, file, devices.contains(&line.device), remote));
        }
    }
    if found.is_empty() {
        // `/proc/locks` leaves out the POSIX locks of processes that our PID namespace does not show.
        found.extend(hidden::lock_on(path)?);
    }
    Ok(found)
}

/// Whose lock a line tells of, if it is one on this file. `same_device`: the line's file system is the file's.
fn holders(line: &Line, file: FileId, same_device: bool, remote: bool) -> Vec<Found> {
    match u32::try_from(line.pid) {
        Ok(0) if same_device => {
            vec![line.held_by(if remote { Who::OtherHost } else { Who::OtherNamespace })]
        }
        Ok(0) => Vec::new(),
        // What it has open tells more surely than a device's number does; where we may not see that, the number must do.
        Ok(pid) if has_open(pid, file).unwrap_or(same_device) => {
            holder(pid).map(|who| line.held_by(who)).into_iter().collect()
        }
        Ok(_) => Vec::new(),
        Err(_) => find_description(line, file, same_device),
    }
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
fn has_open(pid: u32, file: FileId) -> Option<bool> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    Some(descriptors.filter_map(Result::ok).any(|entry| leads_to(&entry, file)))
}

/// A `stat` through the link: it opens nothing.
fn leads_to(entry: &fs::DirEntry, file: FileId) -> bool {
    FileId::of_path(&entry.path()).is_ok_and(|found| found == file)
}

/// Finds the processes that have the open file to which an OFD lock belongs.
fn find_description(line: &Line, file: FileId, same_device: bool) -> Vec<Found> {
    let mut found = Vec::new();
    let mut hidden = false;
    let same = |lock: &Line| lock.kind == line.kind && lock.first == line.first && lock.last == line.last;
    for pid in pids() {
        match descriptions(pid, file) {
            Some(locks) if locks.iter().any(same) => found.extend(holder(pid).map(|who| line.held_by(who))),
            Some(_) => {}
            None => hidden = true,
        }
    }
    if found.is_empty() && same_device {
        // Somebody has it: whom we may not see, or who is not in our PID namespace.
        found.push(line.held_by(if hidden { Who::Unknown } else { Who::OtherNamespace }));
    }
    found
}

pub(super) fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The locks on a file that a process's open files have; `None`: we may not see them.
fn descriptions(pid: u32, file: FileId) -> Option<Vec<Line>> {
    let entries = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(entries) => entries,
        // It has ended in between: it holds nothing.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Vec::new()),
        Err(_) => return None,
    };
    let mut locks = Vec::new();
    for entry in entries.filter_map(Result::ok).filter(|entry| leads_to(entry, file)) {
        let info = format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_string_lossy());
        let text = fs::read_to_string(info).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.strip_prefix("lock:"));
        locks.extend(lines.filter_map(parse).filter(|lock| lock.inode == file.inode));
    }
    Some(locks)
}

pub(super) fn of_byte(file: FileId, byte: u64) -> Vec<ProcessInfo> {
    let covers = |lock: &Line| lock.first <= byte && lock.last.is_none_or(|last| last >= byte);
    let is_it = |lock: &Line| lock.kind == Kind::Ofd && covers(lock);
    let has = |pid: &u32| descriptions(*pid, file).is_some_and(|locks| locks.iter().any(is_it));
    pids().filter(has).filter_map(|pid| process::info(pid).ok()).collect()
}

pub(super) fn of_whole_file(file: FileId) -> Vec<ProcessInfo> {
    // The kernel remembers who asked for it; a child may have it now.
    let lines = lines_on(file, &[Kind::Flock]).unwrap_or_default();
    let pids = lines.iter().filter_map(|line| u32::try_from(line.pid).ok());
    pids.filter(|pid| has_open(*pid, file).unwrap_or(true)).filter_map(|pid| process::info(pid).ok()).collect()
}

pub(super) fn own_ofd_lock(file: FileId) -> bool {
    let locks = descriptions(std::process::id(), file).unwrap_or_default();
    locks.iter().any(|lock| lock.kind == Kind::Ofd && lock.first == layout::CUT && lock.last.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_locks_and_passes_over_waiters() {
        let line = parse("1: POSIX  ADVISORY  WRITE 66618 fd:00:1234 0 EOF").expect("a lock");
        let (kind, access, device) = (Kind::Posix, Access::Write, (0xfd, 0));
        assert_eq!(line, Line { kind, access, pid: 66618, device, inode: 1234, first: 0, last: None });
        let line = parse("2: OFDLCK ADVISORY  READ -1 08:02:77 1073741826 1073742335").expect("a lock");
        assert!(line.kind == Kind::Ofd && line.pid == -1 && line.last == Some(1_073_742_335));
        assert_eq!(parse("3: FLOCK  ADVISORY  WRITE 5 fd:00:1234 0 EOF").expect("a lock").kind, Kind::Flock);
        assert_eq!(parse("1: -> POSIX  ADVISORY  WRITE 5 fd:00:1234 0 EOF"), None);
        assert_eq!(parse("4: LEASE  ACTIVE    READ  5 fd:00:1234 0 EOF"), None);
    }

    #[test]
    fn reads_the_device_of_a_mount() {
        let mounts = "21 1 254:0 / / rw - ext4 /dev/vda rw\n36 21 0:42 /@ /mnt rw - btrfs /dev/vdb rw\n";
        assert_eq!(mount_device(mounts, 36), Some((0, 42)));
        assert_eq!(mount_device(mounts, 37), None);
        let (found, file) = (std::env::temp_dir(), FileId::of_path(&std::env::temp_dir()).expect("it is there"));
        assert!(!devices(&found, file.device).is_empty());
    }

    /// A line of another file system with the same inode number is not taken for this file's.
    #[test]
    fn an_inode_number_alone_names_no_file() {
        let named = tempfile::NamedTempFile::new().expect("a file");
        let file = FileId::of_open(named.as_file()).expect("it is open");
        let line = |pid| Line {
            kind: if pid < 0 { Kind::Ofd } else { Kind::Posix },
            access: Access::Write,
            pid,
            device: (0, 0),
            inode: file.inode,
            first: 0,
            last: None,
        };
        for pid in [-1, 0] {
            assert!(holders(&line(pid), file, false, false).is_empty(), "{pid}");
            assert_eq!(holders(&line(pid), file, true, false).len(), 1, "{pid}");
        }
    }
}
