//! Byte-range locks of an open file, far beyond the table, where they are in nobody's way.
//!
//! The gate's byte lies before the tickets', so one call can lock or unlock it together with a row of them: whoever comes
//! when nobody has or wants the lock takes the gate and its own ticket's byte at once, and whoever leaves the gate gives
//! back everything below its own byte at once.
//!
//! A ticket has two bytes, side by side, taken in one call. The first is the one that others sleep on. Whoever gives the
//! lock back unlocks that one, and with it wakes the next; then it marks its entry; the second byte says meanwhile that it
//! lives. It stays locked until the file is used again, and means nothing once the entry is marked.

use std::{
    fs::File,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use dbmux_os::{
    OsError,
    file_id::{self, FileId},
    fork, holders,
    process::ProcessInfo,
    range_lock::{self, CancelFlag, Kind, Outcome, Range},
};

use super::{OpenTo, open_table, table_offset};
use crate::LockError;

/// The first locked byte of the first region; each region has as many bytes of its own.
const BASE: u64 = 1 << 40;

/// One acquisition's own open file.
#[derive(Debug)]
pub(crate) struct Ground {
    file: File,
    id: FileId,
    region: u8,
    /// A forked child has no locks: its copies of the descriptors are closed.
    process: u32,
    /// The last ticket that was taken here: the next one is likely the one behind it.
    last: AtomicU64,
    /// The tickets whose bytes were locked together with the gate: up to this one.
    with_gate: AtomicU64,
}

impl Ground {
    pub(crate) fn open(path: &Path, region: u8, how: OpenTo) -> Result<Self, LockError> {
        let failed = |source| LockError::Open { path: path.to_owned(), source };
        let file = fork::open_private(|| open_table(path, how)).map_err(failed)?;
        let (last, with_gate) = (AtomicU64::new(0), AtomicU64::new(0));
        let process = fork::own_pid();
        let id = FileId::of_open(&file).map_err(failed);
        let ground = |id| Self { file, id, region, process, last, with_gate };
        id.map(ground)
    }

    pub(crate) fn table(&self) -> &File {
        &self.file
    }

    /// Which file the table is.
    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Whether the table's file still has a name.
    pub(crate) fn has_a_name(&self) -> Result<bool, OsError> {
        let failed = |source| OsError::Call { operation: "look at an open file", source };
        file_id::has_a_name(&self.file).map_err(failed)
    }

    pub(crate) fn offset(&self) -> u64 {
        table_offset(self.region)
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.process == fork::own_pid()
    }

    fn gate(&self) -> u64 {
        BASE * (u64::from(self.region) + 1)
    }

    fn byte(&self, ticket: u64) -> u64 {
        self.gate() + 2 * ticket
    }

    /// The byte that says that the ticket's owner lives, though it may have given the ticket back.
    fn second(&self, ticket: u64) -> u64 {
        self.byte(ticket) + 1
    }

    /// Enters the gate, and takes what is likely the next ticket's byte in the same call. It fails when anybody is in the
    /// gate, or has or wants the lock.
    pub(crate) fn enter_alone(&self) -> Result<bool, OsError> {
        let next = self.last.load(Ordering::Relaxed) + 1;
        let all = Range::between(self.gate(), self.second(next) + 1);
        let entered = range_lock::try_lock_range(&self.file, all, Kind::Exclusive)?;
        self.with_gate.store(if entered { next } else { 0 }, Ordering::Relaxed);
        Ok(entered)
    }

    pub(crate) fn enter_gate(&self, deadline: Option<Instant>) -> Result<Outcome, OsError> {
        self.with_gate.store(0, Ordering::Relaxed);
        range_lock::lock_until(&self.file, self.gate(), Kind::Exclusive, deadline, None)
    }

    /// For a look: beside other lookers.
    pub(crate) fn look_through_gate(&self, deadline: Instant) -> Result<Outcome, OsError> {
        self.with_gate.store(0, Ordering::Relaxed);
        range_lock::lock_until(&self.file, self.gate(), Kind::Shared, Some(deadline), None)
    }

    /// Who is in the gate, where that can be seen.
    pub(crate) fn in_the_gate(&self) -> Option<ProcessInfo> {
        holders::of_byte(self.id, self.gate()).into_iter().next()
    }

    /// Leaves the gate, and keeps no byte but this ticket's.
    pub(crate) fn leave_gate(&self, own: Option<u64>) -> Result<(), OsError> {
        let locked = self.with_gate.swap(0, Ordering::Relaxed);
        let Some(own) = own else {
            return range_lock::unlock_range(&self.file, Range::between(self.gate(), self.second(locked) + 1));
        };
        // Below it are the gate, what was locked with that, and the byte that was slept on.
        range_lock::unlock_range(&self.file, Range::between(self.gate(), self.byte(own)))?;
        if locked > own {
            range_lock::unlock_range(&self.file, Range::between(self.second(own) + 1, self.second(locked) + 1))?;
        }
        Ok(())
    }

    fn both(&self, ticket: u64) -> Range {
        Range::between(self.byte(ticket), self.second(ticket) + 1)
    }

    /// Takes a ticket's bytes. Tickets are never used again, so nobody can be in the way.
    pub(crate) fn take(&self, ticket: u64) -> Result<bool, OsError> {
        let taken = ticket <= self.with_gate.load(Ordering::Relaxed)
            || range_lock::try_lock_range(&self.file, self.both(ticket), Kind::Exclusive)?;
        if taken {
            self.last.store(ticket, Ordering::Relaxed);
        }
        Ok(taken)
    }

    /// Whether nobody has the ticket any more. Asked for a shared lock: those who sleep on it hold shared ones for a
    /// moment, and must not make a dead ticket look alive.
    pub(crate) fn is_dead(&self, ticket: u64) -> Result<bool, OsError> {
        range_lock::is_free(&self.file, Range::byte(self.byte(ticket)), Kind::Shared)
    }

    /// Whether the owner of a ticket that was given back lives: it marks its entry, or has marked it.
    pub(crate) fn is_leaving(&self, ticket: u64) -> Result<bool, OsError> {
        range_lock::is_free(&self.file, Range::byte(self.second(ticket)), Kind::Shared).map(|free| !free)
    }

    /// Whether anybody but us has any ticket.
    pub(crate) fn is_anybody_there(&self) -> Result<bool, OsError> {
        let (mut first, end) = (self.byte(1), self.gate() + BASE);
        while let Some(found) = range_lock::in_the_way(&self.file, Range::between(first, end), Kind::Exclusive)? {
            // A second byte alone is left over from a ticket that was given back.
            let odd = (found.first - self.gate()) % 2 == 1;
            if !odd || found.count != Some(1) || found.first < first {
                return Ok(true);
            }
            first = found.first + 1;
        }
        Ok(false)
    }

    /// Sleeps until the ticket is given back. Its byte stays locked with the others', to be read: whoever sleeps on it
    /// wakes all the same, and the gate's end gives it back.
    pub(crate) fn sleep_on(
        &self,
        ticket: u64,
        own: u64,
        deadline: Option<Instant>,
        cancel: Option<&CancelFlag>,
    ) -> Result<Outcome, OsError> {
        let outcome = range_lock::lock_until(&self.file, self.byte(ticket), Kind::Shared, deadline, cancel)?;
        if outcome == Outcome::Locked && ticket > own {
            range_lock::unlock(&self.file, self.byte(ticket))?;
        }
        Ok(outcome)
    }

    /// Gives the ticket back, and wakes the next one, before the entry is marked.
    pub(crate) fn let_go(&self, ticket: u64) -> Result<(), OsError> {
        range_lock::unlock(&self.file, self.byte(ticket))
    }

    /// After the entry is marked. The second byte goes with the next use of this file: a call less.
    pub(crate) fn is_marked(&self, _ticket: u64) -> Result<(), OsError> {
        Ok(())
    }

    /// Gives everything back: the gate, where it is ours, and the ticket.
    pub(crate) fn give_up(&self, _ticket: u64) -> Result<(), OsError> {
        self.with_gate.store(0, Ordering::Relaxed);
        range_lock::unlock_range(&self.file, Range::from(self.gate()))
    }

    /// A second descriptor of what holds the ticket.
    pub(crate) fn ticket_descriptor(&self) -> std::io::Result<OwnedFd> {
        self.file.as_fd().try_clone_to_owned()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if self.is_ours() {
            // Not left to the close: a child that is forked before it keeps a copy.
            let _ = self.give_up(0);
            fork::forget(self.file.as_raw_fd());
            return;
        }
        // The handler has closed this number in the child, and it may be somebody else's by now: do not close it again.
        if let Ok(null) = File::open("/dev/null") {
            std::mem::forget(std::mem::replace(&mut self.file, null));
        }
    }
}
