//! Who holds a file: the processes that have the kernel's locks on it, found without opening it.
//!
//! Opening and closing a file drops every POSIX lock that the same process has on it, so nothing here ever opens the
//! database, its write-ahead log, or anything beside it: a `stat` names the inode, `/proc/locks` names the locks on it, and
//! `/proc/PID/fdinfo` names the process of a lock that belongs to no process (an OFD lock shows the pid -1).

#[cfg(target_os = "linux")]
mod hidden;
mod layout;
#[cfg(target_os = "linux")]
mod linux;
mod sqlite;
#[cfg(target_os = "linux")]
mod within;

use std::{
    cmp::Reverse,
    fmt,
    path::{Path, PathBuf},
};

pub use self::{layout::Layout, sqlite::SqliteLock};
use crate::{OsError, file_id::FileId, process::ProcessInfo};

/// Who has a lock.
#[derive(Debug, Clone)]
pub enum Who {
    /// A process that we can see.
    Process(Box<ProcessInfo>),
    /// A process in another PID namespace: another container, or the host outside ours.
    OtherNamespace,
    /// A process of another machine, or one that only the file server knows.
    OtherHost,
    /// There is a lock, and we may not see whose.
    Unknown,
}

/// What a lock allows its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// To read.
    Read,
    /// To read and write.
    Write,
}

/// Which of a database's files is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The database file.
    Database,
    /// The write-ahead log.
    Wal,
    /// SQLite's shared memory.
    SharedMemory,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Database => "database",
            Self::Wal => "wal",
            Self::SharedMemory => "shared memory",
        })
    }
}

/// A process that holds a part of a database.
#[derive(Debug, Clone)]
pub struct FileHolder {
    /// Who.
    pub who: Who,
    /// The most that any of its locks allows.
    pub access: Access,
    /// What it has locked.
    pub part: Part,
    /// Whose way of locking that is.
    pub layout: Layout,
    /// The most that it has of SQLite's locks; `None`: it has none.
    pub sqlite: Option<SqliteLock>,
    /// It is this process.
    pub mine: bool,
}

/// The processes that hold a database file, its `.wal` or its `-shm`; those that can be named first, and among
/// them those with the strongest lock of SQLite's. Opens nothing.
///
/// Since when they hold it, the kernel does not tell. Of a directory, which nobody locks: those that have a file in it open.
///
/// # Errors
/// When the kernel's list of locks cannot be read. A file that does not exist has no holders.
pub fn holders_of(path: &Path) -> Result<Vec<FileHolder>, OsError> {
    #[cfg(target_os = "linux")]
    if path.is_dir() {
        return Ok(within::users_of(path));
    }
    let mut found = Vec::new();
    for (part, path) in parts(path) {
        for lock in locks_on(&path)? {
            merge(&mut found, lock, part);
        }
    }
    // Those that can be named, and watched, come first; of several with SQLite those that are most in the way.
    found.sort_by_key(|holder| (!matches!(holder.who, Who::Process(_)), Reverse(holder.sqlite)));
    Ok(found)
}

/// Whether this process has dbmux's half of a database's lock that belongs to an open file, and that no other close can
/// drop: from the cut to the end.
pub fn own_ofd_lock(device: u64, inode: u64) -> bool {
    #[cfg(target_os = "linux")]
    return linux::own_ofd_lock(FileId { device, inode });
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (device, inode);
        false
    }
}

/// A lock of the kernel's, with its holder.
struct Found {
    who: Who,
    access: Access,
    first: u64,
    /// `None`: to the end of the file, however long it grows.
    last: Option<u64>,
    mine: bool,
}

#[cfg(target_os = "linux")]
fn locks_on(path: &Path) -> Result<Vec<Found>, OsError> {
    linux::locks_on(path)
}

#[cfg(not(target_os = "linux"))]
fn locks_on(_path: &Path) -> Result<Vec<Found>, OsError> {
    Err(OsError::Unsupported { what: "finding who holds a file" })
}

fn parts(path: &Path) -> [(Part, PathBuf); 3] {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    [(Part::Database, path.to_owned()), (Part::Wal, beside(".wal")), (Part::SharedMemory, beside("-shm"))]
}

/// One entry a process and part, with the most that its locks allow.
fn merge(found: &mut Vec<FileHolder>, lock: Found, part: Part) {
    let layout = Layout::of(part, lock.first, lock.last);
    let sqlite = SqliteLock::of(part, lock.access, lock.first, lock.last);
    let same = |holder: &&mut FileHolder| holder.part == part && same_process(&holder.who, &lock.who);
    match found.iter_mut().find(same) {
        Some(holder) => {
            holder.access = holder.access.max(lock.access);
            holder.sqlite = holder.sqlite.max(sqlite);
            holder.mine |= lock.mine;
        }
        None => found.push(FileHolder { who: lock.who, access: lock.access, part, layout, sqlite, mine: lock.mine }),
    }
}

fn same_process(one: &Who, other: &Who) -> bool {
    match (one, other) {
        (Who::Process(one), Who::Process(other)) => one.id == other.id,
        (Who::OtherNamespace, Who::OtherNamespace)
        | (Who::OtherHost, Who::OtherHost)
        | (Who::Unknown, Who::Unknown) => true,
        _ => false,
    }
}

/// The processes that have locked one byte of a file by an open file of theirs, as far as they can be seen. Opens nothing.
pub fn of_byte(file: FileId, byte: u64) -> Vec<ProcessInfo> {
    #[cfg(target_os = "linux")]
    return linux::of_byte(file, byte);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, byte);
        Vec::new()
    }
}

/// The processes that have an open file with a `flock` on it, as far as they can be seen. Opens nothing.
pub fn of_whole_file(file: FileId) -> Vec<ProcessInfo> {
    #[cfg(target_os = "linux")]
    return linux::of_whole_file(file);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        Vec::new()
    }
}
