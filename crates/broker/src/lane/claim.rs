//! Who still wants what a lane does: one item may be given up until its batch takes it, and a batch that all have given up is
//! interrupted.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

use parking_lot::Mutex;

use super::Item;
use crate::session::Running;

/// As a claim begins.
const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const LEFT: u8 = 2;

/// Who decides about an item: its lane, or the client that gives up.
#[derive(Default)]
pub(super) struct Claim {
    state: AtomicU8,
    /// That it was taken into.
    batch: OnceLock<Arc<Batch>>,
}

impl Claim {
    /// Gives up, if it was not taken yet; says whether that was in time.
    pub(super) fn leave(&self) -> bool {
        self.become_if_waiting(LEFT)
    }

    fn become_if_waiting(&self, next: u8) -> bool {
        self.state.compare_exchange(WAITING, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// Those who are committed together: when all of them have given up, their statement is interrupted.
pub(super) struct Batch {
    /// How many have not given up.
    wanted: Mutex<usize>,
    /// What the lane's session runs: this batch, by its number, or another one.
    running: Running,
    number: u64,
}

/// Numbers batches.
static BATCHES: AtomicU64 = AtomicU64::new(0);

impl Batch {
    pub(super) fn new(running: &Running) -> Arc<Self> {
        let number = BATCHES.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { wanted: Mutex::new(0), running: running.clone(), number })
    }

    /// Takes an item that nobody has given up.
    pub(super) fn takes(self: &Arc<Self>, item: &Item) -> bool {
        let mut wanted = self.wanted.lock();
        let _ = item.claim.batch.set(Arc::clone(self));
        let taken = item.claim.become_if_waiting(TAKEN);
        *wanted += usize::from(taken);
        taken
    }

    /// It begins, if anybody wants it.
    pub(super) fn begins(&self) -> bool {
        let wanted = self.wanted.lock();
        if *wanted > 0 {
            self.running.begin(self.number);
        }
        *wanted > 0
    }

    pub(super) fn has_ended(&self) {
        self.running.end();
    }

    /// Nobody wants it any more: what of it has not begun does not.
    pub(super) fn is_unwanted(&self) -> bool {
        *self.wanted.lock() == 0
    }

    fn one_gave_up(&self) {
        let mut wanted = self.wanted.lock();
        *wanted -= 1;
        if *wanted == 0 {
            self.running.interrupt(self.number);
        }
    }
}

/// One who waits for an item's outcome; dropped before it, he has given up.
pub(super) struct Wait<'a> {
    claim: &'a Claim,
    /// The outcome has come, or it was given up already.
    over: bool,
}

impl<'a> Wait<'a> {
    pub(super) fn new(claim: &'a Claim) -> Self {
        Self { claim, over: false }
    }

    /// The outcome has come.
    pub(super) fn ended(&mut self) {
        self.over = true;
    }

    /// Gives up, and says whether that was in time: nothing of the item happens then.
    pub(super) fn leave(&mut self) -> bool {
        self.over = true;
        let in_time = self.claim.leave();
        if let Some(batch) = self.claim.batch.get().filter(|_| !in_time) {
            batch.one_gave_up();
        }
        in_time
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use dbmux_engine::Interrupter;

    use super::*;
    use crate::session::CountsInterrupts;

    #[test]
    fn a_batch_is_interrupted_when_all_of_it_have_given_up_while_it_runs() {
        let interrupts = Arc::new(CountsInterrupts::default());
        let running = Running::new(Arc::clone(&interrupts) as Arc<dyn Interrupter>);
        let batch = |wanted| {
            let batch = Batch::new(&running);
            *batch.wanted.lock() = wanted;
            batch
        };
        let count = || interrupts.count();
        let first = batch(2);
        assert!(first.begins());
        first.one_gave_up();
        assert_eq!((count(), first.is_unwanted()), (0, false));
        first.one_gave_up();
        assert_eq!((count(), first.is_unwanted()), (1, true));
        first.has_ended();
        // What runs later in the lane's session is others'.
        let (over, later) = (batch(1), batch(1));
        assert!(over.begins());
        over.has_ended();
        assert!(later.begins());
        over.one_gave_up();
        assert_eq!(count(), 1);
        later.has_ended();
        // Nobody wants it any more when it is to begin.
        let unwanted = batch(1);
        unwanted.one_gave_up();
        assert!(!unwanted.begins());
        assert_eq!(count(), 1);
    }

    #[test]
    fn whoever_goes_away_has_given_up() {
        let running = Running::new(Arc::new(CountsInterrupts::default()));
        let claim = Claim::default();
        drop(Wait::new(&claim));
        assert!(!claim.become_if_waiting(TAKEN), "it was left");
        let (claim, batch) = (Claim::default(), Batch::new(&running));
        *batch.wanted.lock() = 2;
        let _ = claim.batch.set(Arc::clone(&batch));
        assert!(claim.become_if_waiting(TAKEN));
        let mut wait = Wait::new(&claim);
        assert!(!wait.leave());
        drop(wait);
        assert_eq!(*batch.wanted.lock(), 1, "he gives up once");
        drop(Wait { claim: &claim, over: true });
        assert_eq!(*batch.wanted.lock(), 1, "his outcome has come");
    }
}
