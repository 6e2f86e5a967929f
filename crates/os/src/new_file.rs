//! Files that have their mode and group from the moment at which they can be seen.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Seek},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

/// Makes an empty file with this mode, whatever the umask, and this group, where we may give it.
///
/// # Errors
/// `AlreadyExists`; else the kernel's answer.
pub fn make(path: &Path, mode: u32, group: Option<u32>) -> io::Result<()> {
    match unnamed(path).and_then(|file| dress(&file, mode, group).and_then(|()| name(&file, path))) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {}
        made => return made,
    }
    // This file system knows no files without a name, or there is no `/proc`. Its mode is narrow until it is right.
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    dress(&file, mode, group)
}

/// Gives a file from [`crate::file_copy::unnamed`] a name, in a folder of the same file system; `replace`: whatever has the
/// name goes.
///
/// # Errors
/// `AlreadyExists`, where nothing is to be replaced; else the kernel's answer.
pub fn publish(file: &File, path: &Path, replace: bool) -> io::Result<()> {
    if !replace {
        match name(file, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {}
            named => return named,
        }
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".dbmux-new-{}", std::process::id()));
    let aside = PathBuf::from(aside);
    if name(file, &aside).is_err() {
        // It had a name once: only its bytes can have one.
        let copy = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&aside)?;
        let mut from = file;
        from.rewind()?;
        let copied = crate::file_copy::copy(file, &copy, u64::MAX, |_, _| true).map_err(io::Error::other);
        let whole =
            copied.and_then(|_| copy.set_permissions(file.metadata()?.permissions())).and_then(|()| copy.sync_all());
        whole.inspect_err(|_| drop(fs::remove_file(&aside)))?;
    }
    let named = if replace { fs::rename(&aside, path) } else { fs::hard_link(&aside, path) };
    if named.is_err() || !replace {
        fs::remove_file(&aside)?;
    }
    named
}

/// Gives a directory another name, on the same file system, where nothing has it yet.
///
/// # Errors
/// `AlreadyExists`; else the kernel's answer.
pub fn publish_directory(directory: &Path, path: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let (cwd, keep) = (rustix::fs::CWD, rustix::fs::RenameFlags::NOREPLACE);
        match rustix::fs::renameat_with(cwd, directory, cwd, path, keep) {
            // Not every file system can.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            renamed => return Ok(renamed?),
        }
    }
    if path.symlink_metadata().is_ok() {
        return Err(io::Error::from(io::ErrorKind::AlreadyExists));
    }
    fs::rename(directory, path)
}

fn dress(file: &File, mode: u32, group: Option<u32>) -> io::Result<()> {
    if let Some(group) = group {
        // Refused unless we are in that group; the file then has ours.
        let _ = fchown(file, None, Some(group));
    }
    file.set_permissions(Permissions::from_mode(mode))
}

#[cfg(target_os = "linux")]
fn unnamed(path: &Path) -> io::Result<File> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).mode(0o600).open(directory)
}

#[cfg(target_os = "linux")]
fn name(file: &File, path: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    let (cwd, follow) = (rustix::fs::CWD, rustix::fs::AtFlags::SYMLINK_FOLLOW);
    Ok(rustix::fs::linkat(cwd, unnamed, cwd, path, follow)?)
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_path: &Path) -> io::Result<File> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(not(target_os = "linux"))]
fn name(_file: &File, _path: &Path) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// An empty file in memory, for this process and those that are given a descriptor of it. It has no name anywhere.
///
/// # Errors
/// Where the system has none.
pub fn in_memory(label: &str) -> Result<File, crate::OsError> {
    scratch(label).map_err(|error| crate::OsError::call("make a file in memory", error))
}

#[cfg(target_os = "linux")]
fn scratch(label: &str) -> io::Result<File> {
    Ok(File::from(rustix::fs::memfd_create(label, rustix::fs::MemfdFlags::CLOEXEC)?))
}

#[cfg(not(target_os = "linux"))]
fn scratch(_label: &str) -> io::Result<File> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn an_unnamed_file_gets_a_name_and_replaces_only_what_it_may() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, scratch) = (directory.path().join("copy"), directory.path().join("scratch"));
        // The second kind has had a name, in a folder of a file system that makes no others.
        for folder in [directory.path(), Path::new("/proc")] {
            let unnamed = |text: &str| {
                let file = crate::file_copy::unnamed(folder, &scratch).expect("a file");
                io::Write::write_all(&mut &file, text.as_bytes()).expect("it is written");
                file.set_permissions(Permissions::from_mode(0o640)).expect("its mode");
                file
            };
            let read = || fs::read_to_string(&path).expect("it is there");
            publish(&unnamed("one"), &path, false).expect("it gets its name");
            let refused = publish(&unnamed("two"), &path, false).expect_err("it is there");
            assert_eq!((refused.kind(), read()), (io::ErrorKind::AlreadyExists, "one".to_owned()));
            publish(&unnamed("three"), &path, true).expect("it replaces");
            assert_eq!((read(), fs::metadata(&path).expect("it is there").mode() & 0o777), ("three".to_owned(), 0o640));
            fs::remove_file(&path).expect("it goes");
        }
        let left: Vec<_> =
            fs::read_dir(directory.path()).expect("the folder").map(|entry| entry.expect("one").path()).collect();
        assert_eq!(left, [scratch], "nothing else is left");
    }

    #[test]
    fn a_directory_gets_a_name_that_nothing_has() {
        let folder = tempfile::tempdir().expect("a directory");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("one/in")).expect("it is made");
        fs::create_dir(at("taken")).expect("it is made");
        let refused = publish_directory(&at("one"), &at("taken")).expect_err("it is there");
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        publish_directory(&at("one"), &at("new")).expect("it gets its name");
        assert!(at("new/in").is_dir() && !at("one").exists());
    }

    #[test]
    fn has_its_mode_from_the_start_and_is_made_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("new");
        make(&path, 0o666, None).expect("it is made");
        assert_eq!(std::fs::metadata(&path).expect("it is there").mode() & 0o777, 0o666, "whatever the umask");
        let again = make(&path, 0o600, None).expect_err("it is there");
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        let nowhere = make(&directory.path().join("no/new"), 0o600, None).expect_err("no directory");
        assert_eq!(nowhere.kind(), io::ErrorKind::NotFound);
    }
}
