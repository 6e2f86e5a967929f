//! Files that have their mode and group from the moment at which they can be seen.

use std::{
    fs::{File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown},
    path::Path,
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
