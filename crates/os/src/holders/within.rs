//! Who uses a database that is a directory: whoever has a file in it open at this moment.
//!
//! Nothing is locked there. A program that keeps no file open between two operations, as LanceDB's do, is seen only during
//! one.

use std::{fs, path::Path};

use super::{Access, FileHolder, Layout, Part, Who, linux};
use crate::process;

/// The processes that have a file open in a directory, as far as they can be seen. Opens nothing.
pub(super) fn users_of(directory: &Path) -> Vec<FileHolder> {
    let Ok(directory) = fs::canonicalize(directory) else { return Vec::new() };
    let user = |pid| {
        let access = open_within(pid, &directory)?;
        let process = process::info(pid).ok()?;
        let mine = pid == std::process::id();
        let who = Who::Process(Box::new(process));
        Some(FileHolder { who, access, part: Part::Database, layout: Layout::Other, sqlite: None, mine })
    };
    linux::pids().filter_map(user).collect()
}

/// The most that any of its open files in the directory allows; `None`: it has none, or is not for us to see.
fn open_within(pid: u32, directory: &Path) -> Option<Access> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.filter_map(Result::ok);
    // A directory that is open is nobody's data.
    let is_used = |entry: &fs::DirEntry| {
        fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(directory))
            && fs::metadata(entry.path()).is_ok_and(|found| found.is_file())
    };
    let within = entries.filter(is_used);
    within.map(|entry| access(pid, &entry.file_name().to_string_lossy())).max()
}

/// By the flags that a file was opened with, which the kernel tells in octal.
fn access(pid: u32, descriptor: &str) -> Access {
    const HOW: u32 = 0o3;
    let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    match flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()) {
        Some(flags) if flags & HOW != 0 => Access::Write,
        _ => Access::Read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_a_file_open_in_it_uses_a_directory() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("table.lance/data");
        fs::create_dir_all(&inside).expect("folders");
        let of_us = || {
            let users = users_of(folder.path());
            users.into_iter().find(|user| user.mine).map(|user| user.access)
        };
        assert_eq!(of_us(), None);
        let _folder = fs::File::open(&inside).expect("it is there");
        assert_eq!(of_us(), None);
        let written = fs::File::create(inside.join("a")).expect("a file");
        assert_eq!(of_us(), Some(Access::Write));
        let read = fs::File::open(inside.join("a")).expect("it is there");
        drop(written);
        assert_eq!(of_us(), Some(Access::Read));
        drop(read);
        assert_eq!(of_us(), None);
    }
}
