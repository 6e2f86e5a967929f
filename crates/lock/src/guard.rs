//! A lock that is held.

use std::{fmt, sync::Arc};

use dbmux_os::process::ProcessId;

use crate::{
    LockError, book::Book, failpoint, grant::Ticket, ground::Ground, pool::Pool, sidecar::names, table::Header,
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
    ticket: Ticket,
    fence: FenceToken,
    died: Option<ProcessId>,
}

impl Guard {
    pub(crate) fn new(
        pool: Arc<Pool>,
        ground: Ground,
        slot: usize,
        ticket: Ticket,
        fence: FenceToken,
        died: Option<ProcessId>,
    ) -> Self {
        Self { pool, ground: Some(ground), slot, ticket, fence, died }
    }

    /// The fencing token.
    pub fn fence(&self) -> FenceToken {
        self.fence
    }

    /// The process that had the lock before and died with it: what it was doing may be half done.
    pub fn previous_holder_died(&self) -> Option<ProcessId> {
        self.died
    }

    /// Whether others still see this lock: the path names its file, and the file has its ticket.
    ///
    /// # Errors
    /// [`LockError::Replaced`] or [`LockError::Emptied`] when they do not; let whatever it protects go.
    pub fn verify(&self) -> Result<(), LockError> {
        let path = &self.pool.path;
        match &self.ground {
            Some(ground) if names(path, ground)? => {
                if Book::is_there(ground, path, self.slot, self.ticket.number)? {
                    return Ok(());
                }
                Err(LockError::Emptied { path: path.clone() })
            }
            _ => Err(LockError::Replaced { path: path.clone() }),
        }
    }

    /// Marks the entry as left, then lets the ticket's byte go, in this order: a byte that is free beside an entry that is
    /// not left means a death. Neither needs the gate, so nobody who is stopped there keeps a release waiting.
    fn release(&self, ground: &Ground) -> Result<(), LockError> {
        let path = &self.pool.path;
        Book::leave(ground, path, self.slot)?;
        failpoint::reached("entry left");
        ground.give_up(self.ticket.number)?;
        failpoint::reached("given back");
        tracing::debug!(path = %path.display(), ticket = self.ticket.number, "given back");
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
