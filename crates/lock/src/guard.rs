//! A lock that is held.

use std::{fmt, os::fd::OwnedFd, process::Command, sync::Arc};

use dbmux_os::{child, process::ProcessId};

use crate::{
    LockError, TicketNumber,
    book::Book,
    failpoint,
    ground::Ground,
    pool::Pool,
    sidecar::names,
    table::{Entry, Header},
};

/// A number that grows with each grant to a writer: whoever shows a smaller one comes too late.
///
/// Its high bits count the machine's starts, and are synced before the first grant of each, so that a power cut cannot
/// take it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FenceToken(pub u64);

/// Grants that one start of the machine has room for, in bits.
const FENCE_BITS: u32 = 40;

impl FenceToken {
    pub(crate) fn of(header: &Header) -> Self {
        Self((u64::from(header.epoch) << FENCE_BITS) | header.fence)
    }
}

impl fmt::Display for FenceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A lock that is held; given back when this is dropped, and by the end of the process.
#[derive(Debug)]
#[must_use = "the lock is given back when its guard is dropped"]
pub struct Guard {
    pool: Arc<Pool>,
    ground: Option<Ground>,
    slot: usize,
    entry: Entry,
    fence: FenceToken,
    died: Option<ProcessId>,
}

impl Guard {
    pub(crate) fn new(
        pool: Arc<Pool>,
        ground: Ground,
        slot: usize,
        entry: Entry,
        fence: FenceToken,
        died: Option<ProcessId>,
    ) -> Self {
        Self { pool, ground: Some(ground), slot, entry, fence, died }
    }

    /// The fencing token.
    pub fn fence(&self) -> FenceToken {
        self.fence
    }

    /// The process that had the lock before and died with it: what it was doing may be half done.
    pub fn previous_holder_died(&self) -> Option<ProcessId> {
        self.died
    }

    /// The number of its ticket.
    pub fn ticket(&self) -> TicketNumber {
        TicketNumber(self.entry.ticket.number)
    }

    /// Gives the lock to the process that this command starts as well: should this one be killed, the lock lives as long as
    /// that process, and those to which it leaves its open files. Dropping the guard gives it back for all of them.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub fn share_with(&self, command: &mut Command) -> Result<(), LockError> {
        child::keep_open(command, self.descriptor()?);
        Ok(())
    }

    /// A second descriptor of what holds the lock, for a process that runs already: should this one be killed, the lock
    /// lives as long as that process keeps it. Dropping the guard gives it back for all of them.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub fn descriptor(&self) -> Result<OwnedFd, LockError> {
        let path = &self.pool.path;
        let failed = |source| LockError::Table { operation: "share", path: path.clone(), source };
        let ground = self.ground.as_ref().ok_or_else(|| LockError::Replaced { path: path.clone() })?;
        ground.ticket_descriptor().map_err(failed)
    }

    /// Shows another process as the one who has it: a child that works under the lock. Its command stays as it was asked
    /// for.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub fn show_as(&mut self, process: ProcessId) -> Result<(), LockError> {
        let path = &self.pool.path;
        let ground = self.ground.as_ref().ok_or_else(|| LockError::Replaced { path: path.clone() })?;
        self.entry.process = process;
        Book::rewrite(ground, path, self.slot, &self.entry)
    }

    /// Whether others still see this lock: the path names its file, and the file has its ticket.
    ///
    /// # Errors
    /// [`LockError::Replaced`] or [`LockError::Emptied`] when they do not; let whatever it protects go.
    pub fn verify(&self) -> Result<(), LockError> {
        let path = &self.pool.path;
        match &self.ground {
            Some(ground) if names(path, ground.id())? => {
                if Book::is_there(ground, path, self.slot, self.entry.ticket.number)? {
                    return Ok(());
                }
                Err(LockError::Emptied { path: path.clone() })
            }
            _ => Err(LockError::Replaced { path: path.clone() }),
        }
    }

    /// Gives the lock back as if its process had died with it: the next one is told of it as of one that died.
    pub fn abandon(mut self) {
        // Its end unlocks, and leaves the entry.
        drop(self.ground.take().filter(Ground::is_ours));
    }

    /// Wakes the next one, and marks the entry as left: whoever comes between the two sees that we live, and takes it for
    /// marked. Neither needs the gate, so nobody who is stopped there keeps a release waiting.
    fn release(&self, ground: &Ground) -> Result<(), LockError> {
        let (path, ticket) = (&self.pool.path, self.entry.ticket.number);
        ground.let_go(ticket)?;
        failpoint::reached("let go");
        Book::leave(ground, path, self.slot)?;
        failpoint::reached("entry left");
        ground.is_marked(ticket)?;
        failpoint::reached("given back");
        // The clock is looked at only where somebody listens.
        let held = || self.entry.since.elapsed().unwrap_or_default();
        tracing::debug!(path = %path.display(), ticket = self.entry.ticket.number, held = ?held(), "given back");
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(ground) = self.ground.take().filter(Ground::is_ours) else { return };
        match self.release(&ground) {
            Ok(()) => self.pool.keep(ground),
            // Closing the file gives it back all the same; the next one clears the entry away.
            Err(error) => tracing::warn!(%error, "a lock was given back the hard way"),
        }
    }
}
