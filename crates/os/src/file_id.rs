//! Which file a path names.

use std::{fs::File, io, path::Path};

/// Names a file on this machine, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The file system's device.
    pub device: u64,
    /// The file's number there.
    pub inode: u64,
}

impl FileId {
    /// The file that a path names now, links followed.
    ///
    /// # Errors
    /// `NotFound` where there is none; else the kernel's answer.
    #[cfg(target_os = "linux")]
    pub fn of_path(path: &Path) -> io::Result<Self> {
        // Asked for no times: once those are looked at, ext4 has to write finer ones at the next write, which costs a
        // microsecond (Linux 6.13 and later).
        let (flags, mask) = (rustix::fs::AtFlags::empty(), rustix::fs::StatxFlags::INO);
        let found = rustix::fs::statx(rustix::fs::CWD, path, flags, mask)?;
        Ok(Self { device: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor), inode: found.stx_ino })
    }

    /// The file that a path names now, links followed.
    ///
    /// # Errors
    /// `NotFound` where there is none; else the kernel's answer.
    #[cfg(not(target_os = "linux"))]
    pub fn of_path(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|found| Self::from(&found))
    }

    /// An open file.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn of_open(file: &File) -> io::Result<Self> {
        file.metadata().map(|found| Self::from(&found))
    }
}

/// Whether an open file still has a name anywhere: not after it was deleted, or another one was put in its place. Cheaper
/// than to follow a path.
///
/// # Errors
/// The kernel's answer.
pub fn has_a_name(file: &File) -> io::Result<bool> {
    #[cfg(target_os = "linux")]
    {
        let (flags, mask) = (rustix::fs::AtFlags::EMPTY_PATH, rustix::fs::StatxFlags::NLINK);
        Ok(rustix::fs::statx(file, "", flags, mask)?.stx_nlink > 0)
    }
    #[cfg(not(target_os = "linux"))]
    {
        use std::os::unix::fs::MetadataExt;
        Ok(file.metadata()?.nlink() > 0)
    }
}

impl From<&std::fs::Metadata> for FileId {
    fn from(found: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self { device: found.dev(), inode: found.ino() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_an_open_file_agree() {
        let named = tempfile::NamedTempFile::new().expect("a file");
        let id = FileId::of_open(named.as_file()).expect("it is open");
        assert_eq!(FileId::of_path(named.path()).expect("it is there"), id);
        let other = tempfile::NamedTempFile::new().expect("another");
        assert_ne!(FileId::of_path(other.path()).expect("it is there"), id);
        let open = named.reopen().expect("it is there");
        assert!(has_a_name(&open).expect("it is open"));
        drop(named);
        assert!(!has_a_name(&open).expect("it is open"));
        let gone = FileId::of_path(Path::new("/nowhere/at/all")).expect_err("there is none");
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }
}
