//! Which files belong to dbmux's other databases, and to dbmux itself: whoever may write here must leave them alone.
//!
//! Each broker guards the files that it serves; but a statement of one broker could replace, truncate or remove what
//! another one has attached, and everything that was acknowledged there would be gone with its release. What a broker
//! keeps is known by its sidecar, `<database>.dbmux`, which is there as long as the database is. A hard link is known by
//! its inode, among the files beside it and those that somebody has locked.
//!
//! Nothing here opens a file: closing it could cost a lock. It is all `stat` and the reading of directories. Engine, client
//! and `dbmux snapshot` ask here, so that nobody takes for a database what another one refuses.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{DirEntryExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use crate::{holders, runtime};

/// Behind a database's name: DuckDB's logs.
pub const LOGS: [&str; 4] = [".wal", ".wal.checkpoint", ".wal.recovery", ".checkpoint.wal"];
/// Behind a database's name: the folder for spilled data.
pub const SCRATCH: &str = ".tmp";
/// Behind a database's name: its locks.
pub const SIDECAR: &str = ".dbmux";
/// Behind a sidecar's name, where locks need files of their own.
const TICKETS: &str = ".dbmux.tickets";
/// As many as the kernel follows.
const LINKS: usize = 40;

/// What a file is to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theirs {
    /// A database that dbmux keeps, or that somebody has locked.
    Database,
    /// Such a database's log.
    Log,
    /// A lock's file.
    Sidecar,
    /// In such a database's folder for spilled data.
    Scratch,
    /// In the runtime directory.
    Runtime,
}

/// What a path leads to, if that is not for a statement to write. `ours` are databases that are guarded elsewhere.
pub fn find(path: &Path, ours: &[PathBuf]) -> Option<Theirs> {
    let target = resolve(path)?;
    named(&target, ours).or_else(|| linked(&target, ours))
}

/// Why a canonical path cannot be a database of its own, in words; `None`: nothing speaks against it.
///
/// Two names of a database would have two owners, one beside the other: log and sidecar go by the name, and rows that are in
/// the log of one name are not there by the other.
pub fn why_no_database(path: &Path) -> Option<String> {
    let names = fs::metadata(path).ok().filter(|found| found.is_file()).map_or(1, |found| found.nlink());
    if names > 1 {
        return Some(format!(
            "the file has {names} names (hard links), and each would have a log and an owner of its own: remove all names \
             but one, and copy the file instead of linking it"
        ));
    }
    let why = match find(path, &[path.to_owned()])? {
        Theirs::Log => "it is the name of another database's log: open that database",
        Theirs::Sidecar => "names with .dbmux are those of dbmux's locks",
        Theirs::Scratch => "it is where another database spills its data: use another folder",
        Theirs::Database | Theirs::Runtime => return None,
    };
    Some(why.to_owned())
}

/// The same as [`find`], of a directory and all that is in it.
pub fn find_within(path: &Path, ours: &[PathBuf]) -> Option<Theirs> {
    let folder = fs::canonicalize(path).ok()?;
    if runtime_directory().is_some_and(|runtime| runtime.starts_with(&folder)) {
        return Some(Theirs::Runtime);
    }
    find(&folder, ours).or_else(|| inside(&folder))
}

/// Where a path leads, whether or not there is anything yet.
fn resolve(path: &Path) -> Option<PathBuf> {
    if let Ok(found) = fs::canonicalize(path) {
        return Some(found);
    }
    let target = destination(path)?;
    Some(resolve(target.parent()?)?.join(target.file_name()?))
}

/// Where a path that names nothing yet would make a file: symbolic links followed.
pub fn destination(path: &Path) -> Option<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&target) {
            Ok(link) => target = target.parent()?.join(link),
            Err(_) => return Some(target),
        }
    }
    None
}

fn runtime_directory() -> Option<PathBuf> {
    fs::canonicalize(runtime::runtime_path()).ok()
}

/// By the name alone.
fn named(target: &Path, ours: &[PathBuf]) -> Option<Theirs> {
    let ends = |name: &OsStr, suffix: &str| name.as_bytes().ends_with(suffix.as_bytes());
    if ours.iter().any(|own| target.starts_with(with_suffix(own, TICKETS))) {
        return None;
    }
    let is_lock = |name: &OsStr| name == SIDECAR || ends(name, TICKETS);
    if target.file_name().is_some_and(|name| ends(name, SIDECAR)) || target.iter().any(is_lock) {
        return Some(Theirs::Sidecar);
    }
    if runtime_directory().is_some_and(|runtime| target.starts_with(runtime)) {
        return Some(Theirs::Runtime);
    }
    let is_kept = |database: &Path| !ours.iter().any(|own| own == database) && with_suffix(database, SIDECAR).is_file();
    // A database that is a directory is all that is in it.
    if target.ancestors().any(is_kept) {
        return Some(Theirs::Database);
    }
    if LOGS.iter().filter_map(|log| without_suffix(target, log)).any(|database| is_kept(&database)) {
        return Some(Theirs::Log);
    }
    let is_scratch = |folder: &Path| without_suffix(folder, SCRATCH).is_some_and(|database| is_kept(&database));
    target.ancestors().any(is_scratch).then_some(Theirs::Scratch)
}

/// By another name of the same file.
fn linked(target: &Path, ours: &[PathBuf]) -> Option<Theirs> {
    let found = fs::metadata(target).ok().filter(|found| found.is_file() && found.nlink() > 1)?;
    let beside = fs::read_dir(target.parent()?).ok()?.filter_map(Result::ok);
    let other_names = beside.filter(|entry| entry.ino() == found.ino()).map(|entry| entry.path());
    other_names.filter_map(|name| named(&name, ours)).next().or_else(|| {
        let locked = holders::holders_of(target).unwrap_or_default();
        locked.iter().any(|holder| !holder.mine).then_some(Theirs::Database)
    })
}

/// A sidecar anywhere in a directory.
fn inside(folder: &Path) -> Option<Theirs> {
    let entries = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    entries.into_iter().find_map(|entry| {
        if entry.file_name().as_bytes().ends_with(SIDECAR.as_bytes()) {
            return Some(Theirs::Sidecar);
        }
        // Links are removed, not followed.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder { inside(&entry.path()) } else { None }
    })
}

/// A path with something behind its last name.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    PathBuf::from(text)
}

/// The same path without what stands behind its last name; `None`: that does not stand there.
pub fn without_suffix(path: &Path, suffix: &str) -> Option<PathBuf> {
    let text = path.as_os_str().as_bytes().strip_suffix(suffix.as_bytes())?;
    Some(PathBuf::from(OsStr::from_bytes(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_a_sidecar_is_not_free() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a.duckdb", "a.duckdb.dbmux", "own.duckdb", "own.duckdb.dbmux", "free.duckdb", "free.duckdb.wal"] {
            fs::write(at(name), "").unwrap();
        }
        fs::create_dir_all(at("a.duckdb.tmp/dbmux")).unwrap();
        fs::hard_link(at("a.duckdb"), at("link")).unwrap();
        fs::hard_link(at("free.duckdb"), at("free link")).unwrap();
        std::os::unix::fs::symlink(at("a.duckdb.wal"), at("dangling")).unwrap();
        let ours = [fs::canonicalize(at("own.duckdb")).unwrap()];
        for (name, expected) in [
            ("a.duckdb", Some(Theirs::Database)),
            ("./a.duckdb", Some(Theirs::Database)),
            ("link", Some(Theirs::Database)),
            ("a.duckdb.wal", Some(Theirs::Log)),
            ("a.duckdb.wal.recovery", Some(Theirs::Log)),
            ("dangling", Some(Theirs::Log)),
            ("a.duckdb.dbmux", Some(Theirs::Sidecar)),
            ("new.dbmux", Some(Theirs::Sidecar)),
            ("a.duckdb.tmp", Some(Theirs::Scratch)),
            ("a.duckdb.tmp/dbmux/spilled", Some(Theirs::Scratch)),
            ("own.duckdb", None),
            ("own.duckdb.wal", None),
            ("own.duckdb.tmp", None),
            ("own.duckdb.dbmux.tickets/1", None),
            ("a.duckdb.dbmux.tickets/1", Some(Theirs::Sidecar)),
            (".dbmux/name.lock", Some(Theirs::Sidecar)),
            ("free.duckdb", None),
            ("free.duckdb.wal", None),
            ("free link", None),
            ("new.duckdb", None),
            ("nowhere/new.duckdb", None),
        ] {
            assert_eq!(find(&at(name), &ours), expected, "{name}");
        }
        for (name, why) in [
            ("a.duckdb", Some("2 names")),
            ("link", Some("2 names")),
            ("a.duckdb.wal", Some("log")),
            ("a.duckdb.dbmux", Some("locks")),
            ("a.duckdb.tmp/b.duckdb", Some("spills")),
            ("own.duckdb", None),
            ("new.duckdb", None),
        ] {
            let found = why_no_database(&at(name));
            assert_eq!(found.is_some(), why.is_some(), "{name}: {found:?}");
            assert!(found.unwrap_or_default().contains(why.unwrap_or_default()), "{name}");
        }
        assert_eq!(find_within(folder.path(), &ours), Some(Theirs::Sidecar));
        fs::create_dir_all(at("sub/empty")).unwrap();
        assert_eq!(find_within(&at("sub"), &ours), None);
    }
}
