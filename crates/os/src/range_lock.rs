//! Byte-range locks that belong to an open file, not to a process: Linux's and macOS's OFD locks.
//!
//! A POSIX lock would be dropped by any `close` of the same file anywhere in the process; these are dropped by the last
//! close of their own description only.
//!
//! Linux has no timed lock call. [`lock_until`] sleeps in the untimed one, on the caller's own thread, and one helper
//! thread wakes it by a signal with a handler that does nothing and does not restart the call; sent again every
//! millisecond until the sleeper has answered, for one that arrives just before the call is lost.

mod waker;

use std::{fs::File, io, os::fd::AsRawFd, time::Instant};

pub use self::waker::CancelFlag;
use crate::OsError;

/// Beside others, or alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Beside other shared ones.
    Shared,
    /// Alone.
    Exclusive,
}

/// How a timed wait has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The lock is ours.
    Locked,
    /// The deadline has passed; the lock is not ours.
    TimedOut,
    /// Somebody cancelled the wait; the lock is not ours.
    Cancelled,
}

/// Bytes from the first on, and how many; to the end, however long the file grows, where there is no count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first byte.
    pub first: u64,
    /// How many; `None`: to the end.
    pub count: Option<u64>,
}

impl Range {
    /// One byte.
    pub fn byte(first: u64) -> Self {
        Self { first, count: Some(1) }
    }

    /// All from this byte up to, and without, the other one.
    pub fn between(first: u64, end: u64) -> Self {
        Self { first, count: Some(end.saturating_sub(first)) }
    }

    /// All from this byte on.
    pub fn from(first: u64) -> Self {
        Self { first, count: None }
    }
}

/// Locks one byte, if nobody is in the way. Tells whether it is ours.
///
/// # Errors
/// When the file system knows no such locks.
pub fn try_lock(file: &File, byte: u64, kind: Kind) -> Result<bool, OsError> {
    try_lock_range(file, Range::byte(byte), kind)
}

/// Locks all of a range, if nobody is in the way anywhere in it. Tells whether it is ours.
///
/// # Errors
/// When the file system knows no such locks.
pub fn try_lock_range(file: &File, range: Range, kind: Kind) -> Result<bool, OsError> {
    match call(file, SET, kind.code(), range) {
        Ok(()) => Ok(true),
        Err(error) if would_block(&error) => Ok(false),
        Err(error) => Err(OsError::call("lock a byte range", error)),
    }
}

/// Locks one byte, and sleeps until it is free.
///
/// # Errors
/// When the file system knows no such locks.
pub fn lock(file: &File, byte: u64, kind: Kind) -> Result<(), OsError> {
    loop {
        match call(file, SET_WAIT, kind.code(), Range::byte(byte)) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(OsError::call("lock a byte range", error)),
        }
    }
}

/// Locks one byte, and sleeps until it is free, the deadline has passed, or somebody cancels.
///
/// # Errors
/// When the file system knows no such locks.
pub fn lock_until(
    file: &File,
    byte: u64,
    kind: Kind,
    deadline: Option<Instant>,
    cancel: Option<&CancelFlag>,
) -> Result<Outcome, OsError> {
    if try_lock(file, byte, kind)? {
        return Ok(Outcome::Locked);
    }
    if deadline.is_none() && cancel.is_none() {
        return lock(file, byte, kind).map(|()| Outcome::Locked);
    }
    let alarm = waker::Alarm::set(deadline, cancel)?;
    loop {
        if let Some(outcome) = alarm.rang() {
            return Ok(outcome);
        }
        match call(file, SET_WAIT, kind.code(), Range::byte(byte)) {
            Ok(()) => return Ok(Outcome::Locked),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(OsError::call("lock a byte range", error)),
        }
    }
}

/// Gives one byte back.
///
/// # Errors
/// When the file is not open any more.
pub fn unlock(file: &File, byte: u64) -> Result<(), OsError> {
    unlock_range(file, Range::byte(byte))
}

/// Gives back whatever this file has locked in a range.
///
/// # Errors
/// When the file is not open any more.
pub fn unlock_range(file: &File, range: Range) -> Result<(), OsError> {
    call(file, SET, libc::F_UNLCK as libc::c_short, range).map_err(|error| OsError::call("unlock a byte range", error))
}

/// Whether a lock of this kind on all of a range would be granted now, to a description of its own. Takes nothing.
///
/// # Errors
/// When the file system knows no such locks.
pub fn is_free(file: &File, range: Range, kind: Kind) -> Result<bool, OsError> {
    in_the_way(file, range, kind).map(|found| found.is_none())
}

/// A lock of another description that is in the way of one of this kind on all of a range. Takes nothing.
///
/// # Errors
/// When the file system knows no such locks.
pub fn in_the_way(file: &File, range: Range, kind: Kind) -> Result<Option<Range>, OsError> {
    let mut range = raw(kind.code(), range);
    // SAFETY: the descriptor is open for as long as `file` lives, and the kernel fills in a `flock` that outlives the call.
    let answer = unsafe { libc::fcntl(file.as_raw_fd(), GET, &raw mut range) };
    if answer == -1 {
        return Err(OsError::call("look at a byte range", io::Error::last_os_error()));
    }
    if i32::from(range.l_type) == i32::from(libc::F_UNLCK as libc::c_short) {
        return Ok(None);
    }
    let number = |value: libc::off_t| u64::try_from(value).unwrap_or_default();
    let count = (range.l_len != 0).then(|| number(range.l_len));
    Ok(Some(Range { first: number(range.l_start), count }))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const SET: libc::c_int = libc::F_OFD_SETLK;
#[cfg(any(target_os = "linux", target_os = "android"))]
const SET_WAIT: libc::c_int = libc::F_OFD_SETLKW;
#[cfg(any(target_os = "linux", target_os = "android"))]
const GET: libc::c_int = libc::F_OFD_GETLK;
// sys/fcntl.h of macOS 12 and later; libc does not name them.
#[cfg(target_os = "macos")]
const SET: libc::c_int = 90;
#[cfg(target_os = "macos")]
const SET_WAIT: libc::c_int = 91;
#[cfg(target_os = "macos")]
const GET: libc::c_int = 92;

impl Kind {
    fn code(self) -> libc::c_short {
        match self {
            Self::Shared => libc::F_RDLCK as libc::c_short,
            Self::Exclusive => libc::F_WRLCK as libc::c_short,
        }
    }
}

fn raw(code: libc::c_short, range: Range) -> libc::flock {
    // SAFETY: `flock` is a plain structure of integers, for which zero is a value.
    let mut raw: libc::flock = unsafe { std::mem::zeroed() };
    raw.l_type = code;
    raw.l_whence = libc::SEEK_SET as libc::c_short;
    raw.l_start = libc::off_t::try_from(range.first).unwrap_or(libc::off_t::MAX);
    // The kernel's own way to say "to the end" is zero.
    raw.l_len = range.count.map_or(0, |count| libc::off_t::try_from(count).unwrap_or_default());
    raw
}

fn call(file: &File, command: libc::c_int, code: libc::c_short, range: Range) -> io::Result<()> {
    if range.count == Some(0) {
        // The kernel would take it for "to the end".
        return Ok(());
    }
    let range = raw(code, range);
    // SAFETY: the descriptor is open for as long as `file` lives, and the kernel only reads the `flock`.
    match unsafe { libc::fcntl(file.as_raw_fd(), command, &raw const range) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn would_block(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES))
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use super::*;

    fn files(count: usize) -> (tempfile::NamedTempFile, Vec<File>) {
        let named = tempfile::NamedTempFile::new().expect("a file");
        let open = || File::options().read(true).write(true).open(named.path()).expect("the file again");
        let files = (0..count).map(|_| open()).collect();
        (named, files)
    }

    #[test]
    fn belongs_to_the_description_and_not_to_the_process() {
        let (named, files) = files(2);
        assert!(try_lock(&files[0], 7, Kind::Exclusive).expect("a lock"));
        assert!(!try_lock(&files[1], 7, Kind::Shared).expect("a lock"));
        assert!(!is_free(&files[1], Range::byte(7), Kind::Shared).expect("a look"));
        drop(File::open(named.path()).expect("the file"));
        assert!(!try_lock(&files[1], 7, Kind::Shared).expect("a close elsewhere drops nothing"));
        unlock(&files[0], 7).expect("unlocked");
        assert!(is_free(&files[1], Range::byte(7), Kind::Exclusive).expect("a look"));
        assert!(try_lock(&files[1], 7, Kind::Shared).expect("a lock"));
    }

    #[test]
    fn gives_up_at_the_deadline_and_never_takes_it_afterwards() {
        let (_named, files) = files(3);
        assert!(try_lock(&files[0], 0, Kind::Exclusive).expect("a lock"));
        let began = Instant::now();
        let deadline = began + Duration::from_millis(50);
        let outcome = lock_until(&files[1], 0, Kind::Shared, Some(deadline), None).expect("a wait");
        assert_eq!(outcome, Outcome::TimedOut);
        assert!(began.elapsed() >= Duration::from_millis(50));
        unlock(&files[0], 0).expect("unlocked");
        assert!(try_lock(&files[2], 0, Kind::Exclusive).expect("a lock"), "the one that gave up has nothing");
    }

    #[test]
    fn is_cancelled_from_another_thread() {
        let (_named, files) = files(2);
        assert!(try_lock(&files[0], 0, Kind::Exclusive).expect("a lock"));
        let cancel = CancelFlag::new();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| lock_until(&files[1], 0, Kind::Exclusive, None, Some(&cancel)));
            std::thread::sleep(Duration::from_millis(20));
            cancel.cancel();
            assert_eq!(waits.join().expect("no panic").expect("a wait"), Outcome::Cancelled);
        });
        let above = CancelFlag::new();
        let (below, beside) = (above.below(), above.below());
        beside.cancel();
        assert!(beside.is_cancelled() && !above.is_cancelled() && !below.is_cancelled());
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| lock_until(&files[1], 0, Kind::Exclusive, None, Some(&below)));
            std::thread::sleep(Duration::from_millis(20));
            above.cancel();
            assert_eq!(waits.join().expect("no panic").expect("a wait"), Outcome::Cancelled);
        });
    }

    /// A program may block every signal on its worker threads: the deadline holds there too, and the mask is put back.
    #[test]
    fn gives_up_where_all_signals_are_blocked() {
        let (_named, files) = files(2);
        assert!(try_lock(&files[0], 0, Kind::Exclusive).expect("a lock"));
        let (told, hears) = std::sync::mpsc::channel();
        let file = files[1].try_clone().expect("a descriptor");
        std::thread::spawn(move || {
            // SAFETY: whole sets, and only this thread's mask.
            let blocked = unsafe {
                let mut all: libc::sigset_t = std::mem::zeroed();
                libc::sigfillset(&raw mut all);
                libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
                let deadline = Instant::now() + Duration::from_millis(30);
                let outcome = lock_until(&file, 0, Kind::Exclusive, Some(deadline), None).expect("a wait");
                libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut all);
                (outcome, (1..=64).filter(|signal| libc::sigismember(&raw const all, *signal) == 1).count())
            };
            told.send(blocked).expect("told");
        });
        let (outcome, blocked) = hears.recv_timeout(Duration::from_secs(5)).expect("it ends at its deadline");
        assert_eq!(outcome, Outcome::TimedOut);
        assert!(blocked >= 60, "the mask is as it was, not with {blocked} signals");
    }

    /// Deadlines that fall together with the unlock: whatever a waiter is told must be true.
    #[test]
    fn tells_the_truth_when_the_deadline_and_the_unlock_meet() {
        let holders = AtomicUsize::new(0);
        let (named, _) = files(0);
        std::thread::scope(|scope| {
            for worker in 0..8_u64 {
                let (named, holders) = (&named, &holders);
                scope.spawn(move || {
                    let file = File::options().read(true).write(true).open(named.path()).expect("the file");
                    for turn in 0..100_u64 {
                        let deadline = Instant::now() + Duration::from_micros(200 * ((worker + turn) % 10));
                        let outcome = lock_until(&file, 0, Kind::Exclusive, Some(deadline), None).expect("a wait");
                        if outcome == Outcome::Locked {
                            assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two holders");
                            std::thread::sleep(Duration::from_micros(300));
                            holders.fetch_sub(1, Ordering::SeqCst);
                            unlock(&file, 0).expect("unlocked");
                        }
                    }
                });
            }
        });
    }
}
