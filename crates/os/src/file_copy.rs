//! Copies of files: shared with the original where the file system can, else byte by byte, into files without a name.
//!
//! What always holds: a file from [`unnamed`] is gone with its last descriptor, whoever is killed; where the file system
//! makes no such files, its name is there for a moment only, in a folder whose owner sweeps it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

/// As much is copied between two looks at whether to go on, in bytes.
const PART: usize = 32 << 20;
/// Numbers the files of this process that have a name for a moment.
static FILES: AtomicU64 = AtomicU64::new(1);

/// How a copy was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It shares the original's blocks, until one of the two is written.
    Shared,
    /// Byte by byte.
    Copied,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It cannot share the original's blocks, and is larger than was allowed.
    #[error("the file has {size} bytes, and a copy may have {limit}")]
    TooLarge {
        /// Of the original, in bytes.
        size: u64,
        /// In bytes.
        limit: u64,
    },
    /// Nobody wants it any more.
    #[error("it is not wanted any more")]
    GivenUp,
    /// The system's word.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Makes `target`, which is empty, a copy of `source`, of `limit` bytes at most where it cannot share them. `go_on` is
/// asked now and then, with how many bytes are done, and how many there are.
///
/// # Errors
/// [`CopyError`]; the target is then of no use.
pub fn copy(
    source: &File,
    target: &File,
    limit: u64,
    mut go_on: impl FnMut(u64, u64) -> bool,
) -> Result<How, CopyError> {
    let size = source.metadata()?.size();
    if shares(source, target) {
        go_on(size, size);
        return Ok(How::Shared);
    }
    if size > limit {
        return Err(CopyError::TooLarge { size, limit });
    }
    let mut done = 0;
    while go_on(done, size.max(done)) {
        match part(source, target)? {
            0 => return Ok(How::Copied),
            bytes => done += bytes,
        }
    }
    Err(CopyError::GivenUp)
}

#[cfg(target_os = "linux")]
fn shares(source: &File, target: &File) -> bool {
    rustix::fs::ioctl_ficlone(target, source).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn shares(_source: &File, _target: &File) -> bool {
    false
}

/// Copies the next bytes; 0: there are none.
fn part(source: &File, target: &File) -> io::Result<u64> {
    #[cfg(target_os = "linux")]
    {
        use rustix::io::Errno;
        match rustix::fs::copy_file_range(source, None, target, None, PART) {
            // Another kind of file system on either side, or an old kernel.
            Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM) => {}
            Err(Errno::INTR) => return part(source, target),
            copied => return Ok(copied? as u64),
        }
    }
    let (from, mut to) = (source, target);
    io::copy(&mut from.take(PART as u64), &mut to)
}

/// Makes a file without a name, to read and write, in a folder; `scratch` is where it has one for a moment where the
/// folder's file system makes no others.
///
/// # Errors
/// The system's word.
pub fn unnamed(folder: &Path, scratch: &Path) -> io::Result<File> {
    without_name(folder).or_else(|_| named_for_a_moment(scratch))
}

#[cfg(target_os = "linux")]
fn without_name(folder: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_TMPFILE).mode(0o600).open(folder)
}

#[cfg(not(target_os = "linux"))]
fn without_name(_folder: &Path) -> io::Result<File> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

fn named_for_a_moment(scratch: &Path) -> io::Result<File> {
    fs::create_dir_all(scratch)?;
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let path = scratch.join(format!("copy-{}-{number}", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// Whether whoever has the other end of a pipe has closed it, or is gone.
///
/// # Errors
/// The system's word.
pub fn is_hung_up(pipe: impl AsFd) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut pipes = [PollFd::new(&pipe, PollFlags::IN)];
    poll(&mut pipes, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    Ok(pipes[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    fn source(bytes: usize) -> (tempfile::TempDir, File) {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("source");
        fs::write(&path, vec![7; bytes]).expect("a file");
        let source = File::open(&path).expect("the file");
        (folder, source)
    }

    fn content(mut file: File) -> Vec<u8> {
        file.rewind().expect("its beginning");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("its bytes");
        bytes
    }

    #[test]
    fn a_copy_has_all_bytes_and_no_name() {
        let (folder, source) = source(PART + 5);
        let scratch = folder.path().join("scratch/deep");
        for target in [unnamed(folder.path(), &scratch), named_for_a_moment(&scratch)] {
            let (target, mut told) = (target.expect("a file"), Vec::new());
            let mut from = &source;
            from.rewind().expect("its beginning");
            copy(&source, &target, u64::MAX, |done, size| {
                told.push((done, size));
                true
            })
            .expect("a copy");
            let size = PART as u64 + 5;
            assert_eq!(told.last(), Some(&(size, size)));
            assert_eq!(target.metadata().expect("it is open").nlink(), 0);
            assert!(content(target) == vec![7; PART + 5]);
        }
        assert_eq!(fs::read_dir(&scratch).expect("the folder").count(), 0);
        // A file system without such files.
        let elsewhere = unnamed(Path::new("/proc"), &scratch).expect("a file");
        assert_eq!(elsewhere.metadata().expect("it is open").nlink(), 0);
    }

    #[test]
    fn a_copy_is_given_up_and_has_its_limit() {
        let (folder, source) = source(PART + 5);
        let target = || unnamed(folder.path(), folder.path()).expect("a file");
        let shared = matches!(copy(&source, &target(), u64::MAX, |_, _| true), Ok(How::Shared));
        if shared {
            // Nothing is copied here, so nothing is too large.
            return;
        }
        let given_up = copy(&source, &target(), u64::MAX, |_, _| false);
        assert!(matches!(given_up, Err(CopyError::GivenUp)), "{given_up:?}");
        let large = copy(&source, &target(), 9, |_, _| true);
        assert!(matches!(large, Err(CopyError::TooLarge { limit: 9, .. })), "{large:?}");
        let full = OpenOptions::new().write(true).open("/dev/full").expect("it is there");
        let mut from = &source;
        from.rewind().expect("its beginning");
        let full = copy(&source, &full, u64::MAX, |_, _| true);
        assert!(matches!(&full, Err(CopyError::Io(error)) if error.kind() == io::ErrorKind::StorageFull), "{full:?}");
    }

    #[test]
    fn the_end_of_a_pipe_is_seen() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        assert!(!is_hung_up(&reader).expect("an answer"));
        writer.write_all(b"x").expect("room");
        assert!(!is_hung_up(&reader).expect("an answer"));
        drop(writer);
        assert!(is_hung_up(&reader).expect("an answer"));
    }
}
