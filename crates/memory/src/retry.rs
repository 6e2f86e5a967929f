//! What is tried again, and when.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use dbmux_client::ErrorCode;

use crate::{MemoryError, Retry, line::Deadline};

/// The longest wait after a conflict.
const LONGEST_CONFLICT: Duration = Duration::from_millis(100);

/// The tries of one statement.
pub(crate) struct Tries<'a> {
    retry: &'a Retry,
    deadline: Deadline,
    /// Doing it twice is the same as doing it once.
    repeatable: bool,
    begun: usize,
    conflicts: u32,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(retry: &'a Retry, deadline: Deadline, repeatable: bool) -> Self {
        Self { retry, deadline, repeatable, begun: 1, conflicts: 0 }
    }

    /// How long to wait before the next try; `None`: there is none, and the error is the answer.
    pub(crate) fn after(&mut self, error: &MemoryError) -> Option<Duration> {
        let wait = if error.is_conflict() {
            self.after_conflict()?
        } else if self.may_try(error) {
            let wait = *self.retry.waits.get(self.begun)?;
            self.begun += 1;
            wait
        } else {
            return None;
        };
        (wait < self.deadline.left()).then_some(wait)
    }

    fn may_try(&self, error: &MemoryError) -> bool {
        // A session that was lost had nothing of ours in it but the statement.
        let lost = error.code() == ErrorCode::SessionLost;
        error.is_temporary() || (self.repeatable && (lost || error.is_outcome_unknown()))
    }

    fn after_conflict(&mut self) -> Option<Duration> {
        if self.conflicts >= self.retry.conflicts {
            return None;
        }
        let longest = self.retry.conflict.saturating_mul(1 << self.conflicts.min(16)).min(LONGEST_CONFLICT);
        self.conflicts += 1;
        // Those who met once shall not meet again.
        Some(longest.mul_f64(0.5 + 0.5 * chance()))
    }
}

/// A number from 0 to 1, by chance.
fn chance() -> f64 {
    f64::from(u16::try_from(random() & 0xffff).unwrap_or_default()) / 65536.0
}

/// A number by chance: good enough that two processes do not have the same.
pub(crate) fn random() -> u64 {
    let now = jiff::Timestamp::now().as_nanosecond();
    RandomState::new().hash_one((now, std::process::id()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use dbmux_client::{ClientError, ErrorDetail};

    use super::*;

    fn temporary() -> MemoryError {
        MemoryError::QueueFull { depth: 1 }
    }

    fn unknown() -> MemoryError {
        ClientError::OutcomeUnknown { database: PathBuf::from("m.db"), holder: None }.into()
    }

    fn conflict() -> MemoryError {
        let mut detail = ErrorDetail::default();
        detail.set_code(ErrorCode::TransactionConflict);
        ClientError::Broker(Box::new(detail)).into()
    }

    #[test]
    fn three_tries_at_once_then_after_one_second_and_two() {
        let retry = Retry::default();
        let mut tries = Tries::new(&retry, Deadline::after(Duration::from_secs(60)), false);
        let waits: Vec<_> = (0..3).map(|_| tries.after(&temporary())).collect();
        assert_eq!(waits, [Some(Duration::from_secs(1)), Some(Duration::from_secs(2)), None]);
    }

    #[test]
    fn never_beyond_the_deadline() {
        let retry = Retry::default();
        let mut tries = Tries::new(&retry, Deadline::after(Duration::from_millis(500)), false);
        assert_eq!(tries.after(&temporary()), None);
        let mut tries = Tries::new(&retry, Deadline::after(Duration::ZERO), true);
        assert_eq!(tries.after(&conflict()), None);
    }

    #[test]
    fn what_may_have_happened_is_only_repeated_where_that_changes_nothing() {
        let retry = Retry::default();
        let deadline = Deadline::after(Duration::from_secs(60));
        assert_eq!(Tries::new(&retry, deadline, false).after(&unknown()), None);
        assert!(Tries::new(&retry, deadline, true).after(&unknown()).is_some());
        let nonsense = MemoryError::InvalidArgument("no".to_owned());
        assert_eq!(Tries::new(&retry, deadline, true).after(&nonsense), None);
        assert_eq!(Tries::new(&Retry::never(), deadline, true).after(&unknown()), None);
    }

    #[test]
    fn conflicts_wait_from_a_millisecond_twice_as_long_each_time() {
        let retry = Retry { conflicts: 9, ..Retry::default() };
        let mut tries = Tries::new(&retry, Deadline::after(Duration::from_secs(60)), false);
        for longest in [1, 2, 4, 8, 16, 32, 64, 100, 100] {
            let longest = Duration::from_millis(longest);
            let wait = tries.after(&conflict()).unwrap();
            assert!(wait >= longest / 2 && wait <= longest, "{wait:?} of {longest:?}");
        }
        assert_eq!(tries.after(&conflict()), None);
    }
}
