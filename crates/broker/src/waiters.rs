//! Those who were admitted and still wait: for a place on the floor, or for the file. Counted in the order in which they
//! came, so that whoever waits can be told how many go first.
//!
//! What always holds: whoever waits is counted for as long as it does, and not longer, wherever its wait ends.

use std::{collections::BTreeSet, sync::Arc};

use parking_lot::Mutex;

/// Those who wait.
#[derive(Clone, Default)]
pub(crate) struct Waiters(Arc<Mutex<Line>>);

#[derive(Default)]
struct Line {
    next: u64,
    waiting: BTreeSet<u64>,
}

/// One who waits, until this is dropped.
pub(crate) struct Waiter {
    waiters: Waiters,
    number: u64,
}

impl Waiters {
    /// Joins at the end.
    pub(crate) fn join(&self) -> Waiter {
        let mut line = self.0.lock();
        line.next += 1;
        let number = line.next;
        line.waiting.insert(number);
        drop(line);
        Waiter { waiters: self.clone(), number }
    }

    /// How many wait now.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().waiting.len()
    }
}

impl Waiter {
    /// Counts those who came before it and wait still, for as long as anybody asks.
    pub(crate) fn counter(&self) -> impl Fn() -> usize + Send + use<> {
        let (waiters, number) = (self.waiters.clone(), self.number);
        move || waiters.0.lock().waiting.range(..number).count()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiters.0.lock().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::Waiters;

    #[test]
    fn those_who_came_before_and_wait_still_are_counted() {
        let waiters = Waiters::default();
        let (first, second, third) = (waiters.join(), waiters.join(), waiters.join());
        let counts = [first.counter(), second.counter(), third.counter()];
        let count = || counts.iter().map(|counter| counter()).collect::<Vec<_>>();
        assert_eq!((count(), waiters.len()), (vec![0, 1, 2], 3));
        drop(first);
        assert_eq!((count(), waiters.len()), (vec![0, 0, 1], 2));
        let _again = waiters.join();
        assert_eq!((count(), waiters.len()), (vec![0, 0, 1], 3), "whoever comes again is last");
        drop(second);
        drop(third);
        assert_eq!(waiters.len(), 1);
    }
}
