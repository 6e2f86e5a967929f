//! A bounded line: how many calls are under way in this process, and how many of them are at the broker.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::MemoryError;

/// What the broker's own start and answers, and the embedder, are given, however short a call's time is.
pub(crate) const GRACE: Duration = Duration::from_secs(2);
/// What stands for "no end": longer than any process lives.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// When a call's time is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    pub(crate) fn after(wait: Duration) -> Self {
        Self(Instant::now().checked_add(wait))
    }

    /// What is left of it.
    pub(crate) fn left(self) -> Duration {
        self.0.map_or(FOR_EVER, |at| at.saturating_duration_since(Instant::now()))
    }

    /// Waits for something until then, and for what others owe us a moment at least.
    pub(crate) async fn wait<T>(self, during: &'static str, what: impl Future<Output = T>) -> Result<T, MemoryError> {
        let timed = tokio::time::timeout(self.left().max(GRACE), what).await;
        timed.map_err(|_| MemoryError::OutOfTime { during })
    }

    /// The same, without that moment: where only this process is waited for.
    pub(crate) async fn strictly<T>(
        self,
        during: &'static str,
        what: impl Future<Output = T>,
    ) -> Result<T, MemoryError> {
        let timed = tokio::time::timeout(self.left(), what).await;
        timed.map_err(|_| MemoryError::OutOfTime { during })
    }
}

/// The line.
#[derive(Debug)]
pub(crate) struct Line {
    depth: AtomicUsize,
    limit: usize,
    turns: Semaphore,
}

impl Line {
    pub(crate) fn new(limit: usize, turns: usize) -> Self {
        Self { depth: AtomicUsize::new(0), limit, turns: Semaphore::new(turns.clamp(1, Semaphore::MAX_PERMITS)) }
    }

    /// A place in it, or how many there are when that is too many.
    pub(crate) fn enter(&self) -> Result<Place<'_>, MemoryError> {
        let depth = self.depth.fetch_add(1, Ordering::Relaxed);
        let place = Place(self);
        if depth > 0 && depth >= self.limit { Err(MemoryError::QueueFull { depth }) } else { Ok(place) }
    }

    /// A turn at the broker. It is given back before anybody sleeps.
    pub(crate) async fn turn(&self, deadline: Deadline) -> Result<SemaphorePermit<'_>, MemoryError> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        let during = "while this process's other calls were at the broker";
        let turn = deadline.strictly(during, self.turns.acquire()).await?;
        // It is never closed.
        turn.map_err(|_| MemoryError::OutOfTime { during })
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }
}

/// A place in the line, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a Line);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.depth.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_bounded_and_says_how_deep_it_is() {
        let line = Line::new(2, 1);
        let first = line.enter().unwrap();
        let _second = line.enter().unwrap();
        assert!(matches!(line.enter(), Err(MemoryError::QueueFull { depth: 2 })));
        drop(first);
        assert_eq!(line.depth(), 1);
        assert!(line.enter().is_ok());
        // One who is alone is never in a queue.
        assert!(Line::new(0, 1).enter().is_ok());
    }

    #[tokio::test]
    async fn a_turn_is_waited_for_until_the_deadline() {
        let line = Line::new(10, 1);
        let turn = line.turn(Deadline::after(Duration::ZERO)).await.unwrap();
        let late = line.turn(Deadline::after(Duration::from_millis(5))).await;
        assert!(matches!(late, Err(MemoryError::OutOfTime { .. })));
        drop(turn);
        assert!(line.turn(Deadline::after(Duration::ZERO)).await.is_ok());
        assert!(Deadline::after(Duration::MAX).left() >= FOR_EVER);
    }
}
