//! One file a ticket, locked by the standard library: for systems without byte-range locks of open files.
//!
//! Beside the table lies a directory, `<path>.tickets`, with a gate file for each region and a file for each ticket that
//! is out. A ticket's file is removed by its owner, or by whoever finds it dead; its number, and so its name, never comes
//! again, so nobody can fall asleep on a later one's file.
//!
//! The standard library has no timed lock. A helper thread sleeps in the untimed one, with a descriptor of its own, and
//! hands that over; when nobody takes it any more, it is closed. What a waiter sleeps on is a *shared* lock of somebody
//! *else's* ticket, so a helper that is left behind can never take the lock that its waiter gave up.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use dbmux_os::{
    OsError, fork,
    range_lock::{CancelFlag, Outcome},
};

use super::{identity, open_table, table_offset};
use crate::LockError;

/// How soon a waiter notices that it was cancelled: the flag wakes nobody who waits for a helper.
const CANCEL_LOOK: Duration = Duration::from_millis(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Shared,
    Exclusive,
}

/// An open file that a forked child does not keep.
#[derive(Debug)]
struct Private {
    file: Option<File>,
    process: u32,
}

impl Private {
    fn new(file: File) -> Self {
        fork::close_in_child(file.as_raw_fd());
        Self { file: Some(file), process: std::process::id() }
    }

    /// Unlocks before it closes: a child between `vfork` and `exec` has a copy of the descriptor.
    fn unlock(mut self) {
        if self.process == std::process::id()
            && let Some(file) = &mut self.file
        {
            // The close that follows unlocks as well, where there is no such child.
            let _ = file.unlock();
        }
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        if self.process == std::process::id() {
            fork::forget(file.as_raw_fd());
        } else {
            // The handler has closed this number in the child, and it may be somebody else's by now.
            std::mem::forget(file);
        }
    }
}

/// What one acquisition has locked.
#[derive(Debug, Default)]
struct Held {
    gate: Option<Private>,
    ticket: Option<Private>,
}

/// One acquisition's own open files.
#[derive(Debug)]
pub(crate) struct Ground {
    table: File,
    identity: (u64, u64),
    directory: PathBuf,
    region: u8,
    process: u32,
    held: Mutex<Held>,
}

impl Ground {
    pub(crate) fn open(path: &Path, region: u8, make: bool) -> Result<Self, LockError> {
        let table = open_table(path, make)?;
        let identity = identity(&table, path)?;
        let failed = |source| LockError::Open { path: path.to_owned(), source };
        let mut directory = path.as_os_str().to_owned();
        directory.push(".tickets");
        let directory = PathBuf::from(directory);
        if make {
            make_directory(&directory).map_err(failed)?;
        }
        Ok(Self { table, identity, directory, region, process: std::process::id(), held: Mutex::default() })
    }

    pub(crate) fn table(&self) -> &File {
        &self.table
    }

    /// Device and inode of the table.
    pub(crate) fn identity(&self) -> (u64, u64) {
        self.identity
    }

    pub(crate) fn offset(&self) -> u64 {
        table_offset(self.region)
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing panics while it is held.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gate(&self) -> PathBuf {
        self.directory.join(format!("{}.gate", self.region))
    }

    fn ticket(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{}-{number}", self.region))
    }

    pub(crate) fn enter_gate(&self, deadline: Option<Instant>) -> Result<Outcome, OsError> {
        self.pass_gate(Kind::Exclusive, deadline)
    }

    /// For a look: beside other lookers.
    pub(crate) fn look_through_gate(&self, deadline: Instant) -> Result<Outcome, OsError> {
        self.pass_gate(Kind::Shared, Some(deadline))
    }

    fn pass_gate(&self, kind: Kind, deadline: Option<Instant>) -> Result<Outcome, OsError> {
        let file = open(&self.gate(), true)?;
        let (outcome, file) = lock_until(file, kind, deadline, None)?;
        self.held().gate = file.map(Private::new);
        Ok(outcome)
    }

    pub(crate) fn leave_gate(&self) -> Result<(), OsError> {
        if let Some(gate) = self.held().gate.take() {
            gate.unlock();
        }
        Ok(())
    }

    /// Takes a ticket's file. Tickets are never used again, so nobody can be in the way.
    pub(crate) fn take(&self, ticket: u64) -> Result<bool, OsError> {
        let file = open(&self.ticket(ticket), true)?;
        let taken = try_lock(&file, Kind::Exclusive)?;
        if taken {
            self.held().ticket = Some(Private::new(file));
        }
        Ok(taken)
    }

    /// Whether nobody has the ticket any more. Asked for a shared lock, as sleepers and other lookers do.
    pub(crate) fn is_dead(&self, ticket: u64) -> Result<bool, OsError> {
        let path = self.ticket(ticket);
        let file = match open(&path, false) {
            Ok(file) => file,
            Err(OsError::Path { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(error),
        };
        let dead = try_lock(&file, Kind::Shared)?;
        if dead {
            // Whoever finds it removes it; another one may have been faster.
            let _ = std::fs::remove_file(&path);
        }
        Ok(dead)
    }

    /// Sleeps until the ticket is given back.
    pub(crate) fn sleep_on(
        &self,
        ticket: u64,
        deadline: Option<Instant>,
        cancel: Option<&CancelFlag>,
    ) -> Result<Outcome, OsError> {
        match open(&self.ticket(ticket), false) {
            Ok(file) => Ok(lock_until(file, Kind::Shared, deadline, cancel)?.0),
            Err(OsError::Path { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Outcome::Locked),
            Err(error) => Err(error),
        }
    }

    /// Gives the gate and the ticket back.
    pub(crate) fn give_up(&self, ticket: u64) -> Result<(), OsError> {
        // While it is locked: whoever opened it before sleeps until the unlock, whoever comes later finds none.
        let _ = std::fs::remove_file(self.ticket(ticket));
        let mut held = self.held();
        if let Some(file) = held.ticket.take() {
            file.unlock();
        }
        if let Some(gate) = held.gate.take() {
            gate.unlock();
        }
        Ok(())
    }
}

/// Open to whoever may use the table beside it: its mode is the table's umask's business, as the table's is.
fn make_directory(directory: &Path) -> io::Result<()> {
    match std::fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn open(path: &Path, make: bool) -> Result<File, OsError> {
    let opened = OpenOptions::new().read(true).write(true).create(make).truncate(false).open(path);
    opened.map_err(|source| OsError::Path { operation: "open", path: path.to_owned(), source })
}

#[expect(clippy::disallowed_methods, reason = "this is what the portable lock stands on")]
fn try_lock(file: &File, kind: Kind) -> Result<bool, OsError> {
    let tried = match kind {
        Kind::Shared => file.try_lock_shared(),
        Kind::Exclusive => file.try_lock(),
    };
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is what the portable lock stands on")]
fn lock(file: &File, kind: Kind) -> io::Result<()> {
    match kind {
        Kind::Shared => file.lock_shared(),
        Kind::Exclusive => file.lock(),
    }
}

fn failed(source: io::Error) -> OsError {
    OsError::Call { operation: "lock a file", source }
}

/// Answers with the file when it is locked.
fn lock_until(
    file: File,
    kind: Kind,
    deadline: Option<Instant>,
    cancel: Option<&CancelFlag>,
) -> Result<(Outcome, Option<File>), OsError> {
    if try_lock(&file, kind)? {
        return Ok((Outcome::Locked, Some(file)));
    }
    if deadline.is_none() && cancel.is_none() {
        lock(&file, kind).map_err(failed)?;
        return Ok((Outcome::Locked, Some(file)));
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let helper = std::thread::Builder::new().name("dbmux-lock-sleeper".to_owned());
    helper
        .spawn(move || {
            let locked = lock(&file, kind).map(|()| file);
            // Nobody listens any more: the file is closed, and so unlocked.
            let _ = sender.send(locked);
        })
        .map_err(failed)?;
    loop {
        if cancel.is_some_and(CancelFlag::is_cancelled) {
            return Ok((Outcome::Cancelled, None));
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let look = cancel.map(|_| CANCEL_LOOK);
        let pause = left.into_iter().chain(look).min().unwrap_or(Duration::MAX);
        match receiver.recv_timeout(pause) {
            Ok(Ok(file)) => return Ok((Outcome::Locked, Some(file))),
            Ok(Err(source)) => return Err(failed(source)),
            Err(RecvTimeoutError::Timeout) if left.is_some_and(|left| left <= pause) => {
                return Ok((Outcome::TimedOut, None));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(failed(io::Error::other("the thread that waited for it ended")));
            }
        }
    }
}
