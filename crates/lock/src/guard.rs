//! A lock that is held.

use std::{fmt, sync::Arc, time::Instant};

use dbmux_os::process::ProcessId;

use crate::{
    LockError,
    book::Book,
    failpoint,
    grant::Ticket,
    ground::Ground,
    lock::{Inner, names},
    table::Header,
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
    inner: Arc<Inner>,
    ground: Option<Ground>,
    slot: usize,
    ticket: Ticket,
    fence: FenceToken,
    died: Option<ProcessId>,
    granted: Instant,
}

impl Guard {
    pub(crate) fn new(
        inner: Arc<Inner>,
        ground: Ground,
        slot: usize,
        ticket: Ticket,
        fence: FenceToken,
        died: Option<ProcessId>,
    ) -> Self {
        Self { inner, ground: Some(ground), slot, ticket, fence, died, granted: Instant::now() }
    }

    /// The fencing token.
    pub fn fence(&self) -> FenceToken {
        self.fence
    }

    /// The process that had the lock before and died with it: what it was doing may be half done.
    pub fn previous_holder_died(&self) -> Option<ProcessId> {
        self.died
    }

    /// Whether others still see this lock: the path still names its file.
    ///
    /// # Errors
    /// [`LockError::Replaced`] when it does not; let whatever it protects go.
    pub fn verify(&self) -> Result<(), LockError> {
        match &self.ground {
            Some(ground) if names(&self.inner.path, ground)? => Ok(()),
            _ => Err(LockError::Replaced { path: self.inner.path.clone() }),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(ground) = self.ground.take().filter(Ground::is_ours) else { return };
        match self.release(&ground) {
            Ok(()) => self.inner.keep(ground),
            // Closing the file gives it back all the same; the next one clears the entry away.
            Err(error) => tracing::warn!(%error, "a lock was given back the hard way"),
        }
    }
}

impl Guard {
    fn release(&self, ground: &Ground) -> Result<(), LockError> {
        let path = &self.inner.path;
        ground.enter_gate(None)?;
        failpoint::reached("gate entered to release");
        let mut book = Book::open(ground, path)?;
        if book.find(self.ticket.number).is_some_and(|(slot, _)| slot == self.slot) {
            book.clear(ground, path, self.slot)?;
        }
        failpoint::reached("entry cleared");
        ground.give_up(self.ticket.number)?;
        failpoint::reached("given back");
        let held = self.granted.elapsed();
        tracing::debug!(path = %path.display(), ticket = self.ticket.number, ?held, "given back");
        Ok(())
    }
}
