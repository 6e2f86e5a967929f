//! When waiting ends.

use std::time::{Duration, Instant};

/// A moment at which waiting ends, and the moment at which it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    began: Instant,
    /// `None`: further away than the clock reaches.
    end: Option<Instant>,
}

impl Deadline {
    pub(crate) fn after(wait: Duration) -> Self {
        let began = Instant::now();
        Self { began, end: began.checked_add(wait) }
    }

    pub(crate) fn waited(self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn passed(self) -> bool {
        self.end.is_some_and(|end| end <= Instant::now())
    }

    /// Sleeps until it; for ever where it is out of reach.
    pub(crate) async fn reached(self) {
        match self.end {
            Some(end) => tokio::time::sleep_until(end.into()).await,
            None => std::future::pending().await,
        }
    }
}
