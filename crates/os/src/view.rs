//! What is to be seen of another process, piece by piece, so that whoever looks at all of them reads cheap things first.
//!
//! Nothing here opens a file that the process has open: links are read, and files are named by `stat`. What may not be seen
//! is told apart from a process that has ended: the first is no answer, the second is one.

#[cfg(target_os = "linux")]
mod activity;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

#[cfg(target_os = "linux")]
use self::linux as system;
#[cfg(not(target_os = "linux"))]
use self::other as system;
use crate::OsError;

/// Why something is not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unseen {
    /// The process has ended.
    Gone,
    /// It is another user's, or the system hides it.
    Refused,
}

/// What is seen, or why not.
pub type Sight<T> = Result<T, Unseen>;

/// A file that a process has open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenFile {
    /// The descriptor's number; 0, 1 and 2 are standard input, output and error.
    pub number: u32,
    /// The file's path as the process's root shows it; it may have ended in ` (deleted)`.
    pub path: PathBuf,
}

/// What a process is doing at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It computes, or waits for a file or a thread of its own.
    Busy,
    /// Its first thread waits for input, for an event or for a time, and no other thread computes.
    Waits,
}

/// The numbers of the processes that are to be seen.
///
/// # Errors
/// Where the system lists none.
pub fn processes() -> Result<Vec<u32>, OsError> {
    system::processes()
}

/// Whether the system keeps other users' processes from this one's eyes.
pub fn others_are_hidden() -> bool {
    system::others_are_hidden()
}

/// A process's arguments, read into a buffer that can be used again; `false`: it has none, as the kernel's own threads and
/// those that wait to be counted. The arguments are ended by zeros.
///
/// # Errors
/// When it is not seen.
pub fn arguments_into(pid: u32, buffer: &mut Vec<u8>) -> Sight<bool> {
    system::arguments_into(pid, buffer)
}

/// The parts of what [`arguments_into`] has read.
pub fn split_arguments(bytes: &[u8]) -> Vec<OsString> {
    use std::os::unix::ffi::OsStringExt;
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    bytes.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect()
}

/// The program that a process runs.
///
/// # Errors
/// When it is not seen.
pub fn executable(pid: u32) -> Sight<PathBuf> {
    system::executable(pid)
}

/// The value of one of a process's environment variables, as it was when its program began; `None`: it was not set.
///
/// # Errors
/// When it is not seen.
pub fn variables<const N: usize>(pid: u32, names: [&str; N]) -> Sight<[Option<OsString>; N]> {
    system::variables(pid, names)
}

/// Where a process is.
///
/// # Errors
/// When it is not seen.
pub fn working_directory(pid: u32) -> Sight<PathBuf> {
    system::working_directory(pid)
}

/// A path by which this process reaches what another one calls `path`: relative to its directory, absolute below its root.
/// Only to look at, while it runs.
pub fn reach(pid: u32, path: &Path) -> PathBuf {
    system::reach(pid, path)
}

/// The files that a process has open.
///
/// # Errors
/// When they are not seen.
pub fn open_files(pid: u32) -> Sight<Vec<OpenFile>> {
    system::open_files(pid)
}

/// Whether a process appends to a file that it has open, as programs do to their logs.
///
/// # Errors
/// When it is not seen.
pub fn appends(pid: u32, number: u32) -> Sight<bool> {
    system::appends(pid, number)
}

/// Whether a process has loaded a library whose file's name begins so.
///
/// # Errors
/// When it is not seen.
pub fn has_loaded(pid: u32, library: &str) -> Sight<bool> {
    system::has_loaded(pid, library)
}

/// What a process is doing at this moment.
///
/// # Errors
/// When it is not seen.
pub fn activity(pid: u32) -> Sight<Activity> {
    system::activity(pid)
}

/// What has started a process; `None`: nothing that can be seen.
pub fn parent(pid: u32) -> Option<u32> {
    crate::process::parent(pid)
}
