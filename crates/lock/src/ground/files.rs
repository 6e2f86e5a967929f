//! One file a ticket, locked by the standard library: for systems without byte-range locks of open files.
//!
//! Beside the table lies a directory, `<path>.tickets`, with a gate file for each region and a file for each ticket that
//! is out. A ticket's file is removed by its owner, or by whoever finds it dead; its number, and so its name, never comes
//! again, so nobody can fall asleep on a later one's file.
//!
//! The standard library has no timed lock. A helper thread sleeps in the untimed one, with a descriptor of its own, and
//! hands that over; when nobody takes it any more, it is closed. In a forked child, which must start no thread, one looks
//! again and again instead. What a waiter sleeps on is a *shared* lock of somebody
//! *else's* ticket, so a helper that is left behind can never take the lock that its waiter gave up.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use dbmux_os::{
    OsError,
    file_id::{self, FileId},
    fork, holders,
    process::ProcessInfo,
    range_lock::{CancelFlag, Outcome},
};

use super::{OpenTo, open_table, table_offset};
use crate::LockError;

/// How soon a waiter notices that it was cancelled: the flag wakes nobody who waits for a helper.
const CANCEL_LOOK: Duration = Duration::from_millis(5);

/// A wait that is no longer than this looks again and again, for it leaves nobody behind: a helper stands in line until its
/// turn has come, and thousands of them keep everybody else out.
const SHORT: Duration = Duration::from_millis(5);
const SHORT_LOOK: Duration = Duration::from_micros(200);

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
    /// Opens it; a child that is forked at this moment has no copy either.
    fn open(path: &Path, how: How) -> Result<Self, OsError> {
        let (write, make) = (how != How::Read, how == How::Make);
        let open = || OpenOptions::new().read(true).write(write).create(make).truncate(false).open(path);
        let opened = fork::open_private(open);
        let file = opened.map_err(|source| OsError::Path { operation: "open", path: path.to_owned(), source })?;
        Ok(Self { file: Some(file), process: fork::own_pid() })
    }

    fn file(&self) -> io::Result<&File> {
        // Only the drop takes it.
        self.file.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        if self.process == fork::own_pid() {
            // Not left to the close: a child that is forked before it keeps a copy.
            let _ = file.unlock();
            fork::forget(file.as_raw_fd());
        } else {
            // The handler has closed this number in the child, and it may be somebody else's by now.
            std::mem::forget(file);
        }
    }
}

/// How a gate's or a ticket's file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Read,
    Write,
    Make,
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
    id: FileId,
    directory: PathBuf,
    region: u8,
    process: u32,
    /// It is only looked at: nothing is made.
    looks: bool,
    held: Mutex<Held>,
}

impl Ground {
    pub(crate) fn open(path: &Path, region: u8, how: OpenTo) -> Result<Self, LockError> {
        let failed = |source| LockError::Open { path: path.to_owned(), source };
        let table = open_table(path, how).map_err(failed)?;
        let id = FileId::of_open(&table).map_err(failed)?;
        let mut directory = path.as_os_str().to_owned();
        directory.push(".tickets");
        let directory = PathBuf::from(directory);
        let looks = how == OpenTo::LookAt;
        if !looks {
            make_directory(&directory).map_err(failed)?;
        }
        Ok(Self { table, id, directory, region, process: fork::own_pid(), looks, held: Mutex::default() })
    }

    pub(crate) fn table(&self) -> &File {
        &self.table
    }

    /// Which file the table is.
    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Whether the table's file still has a name.
    pub(crate) fn has_a_name(&self) -> Result<bool, OsError> {
        let failed = |source| OsError::Call { operation: "look at an open file", source };
        file_id::has_a_name(&self.table).map_err(failed)
    }

    pub(crate) fn offset(&self) -> u64 {
        table_offset(self.region)
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.process == fork::own_pid()
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

    /// Enters the gate if nobody is in it.
    pub(crate) fn enter_alone(&self) -> Result<bool, OsError> {
        let gate = Private::open(&self.gate(), How::Make)?;
        let entered = try_lock(gate.file().map_err(failed)?, Kind::Exclusive)?;
        self.held().gate = entered.then_some(gate);
        Ok(entered)
    }

    pub(crate) fn enter_gate(&self, deadline: Option<Instant>) -> Result<Outcome, OsError> {
        let gate = Private::open(&self.gate(), How::Make)?;
        self.pass(gate, Kind::Exclusive, deadline)
    }

    /// For a look: beside other lookers.
    pub(crate) fn look_through_gate(&self, deadline: Instant) -> Result<Outcome, OsError> {
        match Private::open(&self.gate(), if self.looks { How::Read } else { How::Make }) {
            Ok(gate) => self.pass(gate, Kind::Shared, Some(deadline)),
            // Nobody has ever passed it.
            Err(error) if is_missing(&error) => Ok(Outcome::Locked),
            Err(error) => Err(error),
        }
    }

    fn pass(&self, gate: Private, kind: Kind, deadline: Option<Instant>) -> Result<Outcome, OsError> {
        let (outcome, gate) = lock_until(gate, kind, deadline, None)?;
        self.held().gate = gate;
        Ok(outcome)
    }

    /// Who is in the gate, where that can be seen.
    pub(crate) fn in_the_gate(&self) -> Option<ProcessInfo> {
        holders::of_whole_file(FileId::of_path(&self.gate()).ok()?).into_iter().next()
    }

    /// Leaves the gate; the ticket stays.
    pub(crate) fn leave_gate(&self, _own: Option<u64>) -> Result<(), OsError> {
        drop(self.held().gate.take());
        Ok(())
    }

    /// Takes a ticket's file. Tickets are never used again, so nobody can be in the way.
    pub(crate) fn take(&self, ticket: u64) -> Result<bool, OsError> {
        let file = Private::open(&self.ticket(ticket), How::Make)?;
        let taken = try_lock(file.file().map_err(failed)?, Kind::Exclusive)?;
        if taken {
            self.held().ticket = Some(file);
        }
        Ok(taken)
    }

    /// Whether nobody has the ticket any more. Asked for a shared lock, as sleepers and other lookers do.
    pub(crate) fn is_dead(&self, ticket: u64) -> Result<bool, OsError> {
        self.is_free(&self.ticket(ticket))
    }

    fn is_free(&self, path: &Path) -> Result<bool, OsError> {
        let file = match Private::open(path, How::Read) {
            Ok(file) => file,
            Err(error) if is_missing(&error) => return Ok(true),
            Err(error) => return Err(error),
        };
        let free = try_lock(file.file().map_err(failed)?, Kind::Shared)?;
        if free && !self.looks {
            // Whoever finds it removes it; another one may have been faster.
            let _ = std::fs::remove_file(path);
        }
        Ok(free)
    }

    /// Whether anybody has any ticket.
    pub(crate) fn is_anybody_there(&self) -> Result<bool, OsError> {
        let failed = |source| OsError::Path { operation: "read", path: self.directory.clone(), source };
        let ours = format!("{}-", self.region);
        for entry in std::fs::read_dir(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let is_ticket = entry.file_name().to_string_lossy().starts_with(&ours);
            if is_ticket && !self.is_free(&entry.path())? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sleeps until the ticket is given back.
    pub(crate) fn sleep_on(
        &self,
        ticket: u64,
        _own: u64,
        deadline: Option<Instant>,
        cancel: Option<&CancelFlag>,
    ) -> Result<Outcome, OsError> {
        match Private::open(&self.ticket(ticket), How::Write) {
            Ok(file) => Ok(lock_until(file, Kind::Shared, deadline, cancel)?.0),
            Err(error) if is_missing(&error) => Ok(Outcome::Locked),
            Err(error) => Err(error),
        }
    }

    /// Nobody can tell here whether an owner who gave its ticket back is about to mark its entry: the mark comes first.
    pub(crate) fn is_leaving(&self, _ticket: u64) -> Result<bool, OsError> {
        Ok(false)
    }

    /// Before the entry is marked.
    pub(crate) fn let_go(&self, _ticket: u64) -> Result<(), OsError> {
        Ok(())
    }

    /// After the entry is marked: gives the ticket back.
    pub(crate) fn is_marked(&self, ticket: u64) -> Result<(), OsError> {
        self.give_up(ticket)
    }

    /// Gives everything back: the gate, where it is ours, and the ticket.
    pub(crate) fn give_up(&self, ticket: u64) -> Result<(), OsError> {
        // While it is locked: whoever opened it before sleeps until the unlock, whoever comes later finds none.
        let _ = std::fs::remove_file(self.ticket(ticket));
        let mut held = self.held();
        drop(held.ticket.take());
        drop(held.gate.take());
        Ok(())
    }

    /// A second descriptor of what holds the ticket.
    pub(crate) fn ticket_descriptor(&self) -> io::Result<OwnedFd> {
        let held = self.held();
        let ticket = held.ticket.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        ticket.file()?.as_fd().try_clone_to_owned()
    }
}

fn is_missing(error: &OsError) -> bool {
    matches!(error, OsError::Path { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

/// Open to whoever may use the table beside it: its mode is the table's umask's business, as the table's is.
fn make_directory(directory: &Path) -> io::Result<()> {
    match std::fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
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

/// Tries again and again, more and more rarely, with no pause longer than this.
fn tried_until(
    file: &File,
    kind: Kind,
    deadline: Option<Instant>,
    cancel: Option<&CancelFlag>,
    longest: Duration,
) -> Result<Outcome, OsError> {
    let mut pause = SHORT_LOOK;
    loop {
        if cancel.is_some_and(CancelFlag::is_cancelled) {
            return Ok(Outcome::Cancelled);
        }
        let left = deadline.map_or(longest, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Ok(Outcome::TimedOut);
        }
        std::thread::sleep(pause.min(left));
        if try_lock(file, kind)? {
            return Ok(Outcome::Locked);
        }
        pause = longest.min(pause * 2);
    }
}

/// Answers with the file when it is locked.
fn lock_until(
    private: Private,
    kind: Kind,
    deadline: Option<Instant>,
    cancel: Option<&CancelFlag>,
) -> Result<(Outcome, Option<Private>), OsError> {
    if try_lock(private.file().map_err(failed)?, kind)? {
        return Ok((Outcome::Locked, Some(private)));
    }
    if deadline.is_none() && cancel.is_none() {
        lock(private.file().map_err(failed)?, kind).map_err(failed)?;
        return Ok((Outcome::Locked, Some(private)));
    }
    let is_short = deadline.is_some_and(|end| end.saturating_duration_since(Instant::now()) <= SHORT);
    if is_short || fork::in_child() {
        let longest = if is_short { SHORT_LOOK } else { CANCEL_LOOK };
        let outcome = tried_until(private.file().map_err(failed)?, kind, deadline, cancel, longest)?;
        return Ok((outcome, (outcome == Outcome::Locked).then_some(private)));
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let helper = std::thread::Builder::new().name("dbmux-lock-sleeper".to_owned());
    helper
        .spawn(move || {
            let locked = private.file().and_then(|file| lock(file, kind)).map(|()| private);
            // Nobody listens any more: the file is unlocked and closed.
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
