//! Byte-range locks of an open file, far beyond the table, where they are in nobody's way.

use std::{fs::File, os::fd::AsRawFd, path::Path, time::Instant};

use dbmux_os::{
    OsError, fork,
    range_lock::{self, CancelFlag, Kind, Outcome},
};

use super::{identity, open_table, table_offset};
use crate::LockError;

/// The first locked byte of the first region; each region has as many bytes of its own.
const BASE: u64 = 1 << 40;

/// One acquisition's own open file.
#[derive(Debug)]
pub(crate) struct Ground {
    file: File,
    identity: (u64, u64),
    region: u8,
    /// A forked child has no locks: its copies of the descriptors are closed.
    process: u32,
}

impl Ground {
    pub(crate) fn open(path: &Path, region: u8, make: bool) -> Result<Self, LockError> {
        let file = open_table(path, make)?;
        let identity = identity(&file, path)?;
        fork::close_in_child(file.as_raw_fd());
        Ok(Self { file, identity, region, process: std::process::id() })
    }

    pub(crate) fn table(&self) -> &File {
        &self.file
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

    fn gate(&self) -> u64 {
        BASE * (u64::from(self.region) + 1)
    }

    fn byte(&self, ticket: u64) -> u64 {
        self.gate() + 2 * ticket
    }

    pub(crate) fn enter_gate(&self, deadline: Option<Instant>) -> Result<Outcome, OsError> {
        range_lock::lock_until(&self.file, self.gate(), Kind::Exclusive, deadline, None)
    }

    /// For a look: beside other lookers.
    pub(crate) fn look_through_gate(&self, deadline: Instant) -> Result<Outcome, OsError> {
        range_lock::lock_until(&self.file, self.gate(), Kind::Shared, Some(deadline), None)
    }

    pub(crate) fn leave_gate(&self) -> Result<(), OsError> {
        range_lock::unlock(&self.file, self.gate())
    }

    /// Takes a ticket's byte. Tickets are never used again, so nobody can be in the way.
    pub(crate) fn take(&self, ticket: u64) -> Result<bool, OsError> {
        range_lock::try_lock(&self.file, self.byte(ticket), Kind::Exclusive)
    }

    /// Whether nobody has the ticket any more. Asked for a shared lock: those who sleep on it hold shared ones for a
    /// moment, and must not make a dead ticket look alive.
    pub(crate) fn is_dead(&self, ticket: u64) -> Result<bool, OsError> {
        range_lock::is_free(&self.file, self.byte(ticket), Kind::Shared)
    }

    /// Sleeps until the ticket is given back.
    pub(crate) fn sleep_on(
        &self,
        ticket: u64,
        deadline: Option<Instant>,
        cancel: Option<&CancelFlag>,
    ) -> Result<Outcome, OsError> {
        let outcome = range_lock::lock_until(&self.file, self.byte(ticket), Kind::Shared, deadline, cancel)?;
        if outcome == Outcome::Locked {
            range_lock::unlock(&self.file, self.byte(ticket))?;
        }
        Ok(outcome)
    }

    /// Gives the gate and the ticket back.
    pub(crate) fn give_up(&self, _ticket: u64) -> Result<(), OsError> {
        range_lock::unlock_from(&self.file, self.gate())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if self.is_ours() {
            fork::forget(self.file.as_raw_fd());
            return;
        }
        // The handler has closed this number in the child, and it may be somebody else's by now: do not close it again.
        if let Ok(null) = File::open("/dev/null") {
            std::mem::forget(std::mem::replace(&mut self.file, null));
        }
    }
}
