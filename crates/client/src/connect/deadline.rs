//! When everything must have happened.

use std::time::{Duration, Instant};

/// When everything must have happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    began: Instant,
    wait: Duration,
}

impl Deadline {
    pub(crate) fn after(wait: Duration) -> Self {
        Self { began: Instant::now(), wait }
    }

    pub(crate) fn left(self) -> Duration {
        self.wait.saturating_sub(self.waited())
    }

    pub(crate) fn passed(self) -> bool {
        self.left().is_zero()
    }

    pub(crate) fn waited(self) -> Duration {
        self.began.elapsed()
    }
}

/// As the wire has it.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
