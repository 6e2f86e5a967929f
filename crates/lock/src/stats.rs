//! What a lock has been through: kept in its file, and so surviving restarts.

use std::time::{Duration, SystemTime};

/// The histogram's buckets: one a power of two of microseconds, up to about 18 minutes, and one for the rest.
const BUCKETS: usize = 32;

/// What a lock has been through, since its file was made.
///
/// An acquisition is one grant of one ticket; those that wait and those that failed are counted apart.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statistics {
    /// Grants.
    pub acquisitions: u64,
    /// Grants that had to wait.
    pub contended: u64,
    /// Waits that came to nothing: out of time, or cancelled.
    pub failures: u64,
    /// Tickets of dead processes that were cleared away.
    pub reaped: u64,
    /// The last grant.
    pub last_acquisition: Option<SystemTime>,
    /// The longest wait that ended with a grant.
    pub longest_wait: Duration,
    total_wait_us: u64,
    failed_wait_us: u64,
    buckets: [u64; BUCKETS],
}

impl Statistics {
    pub(crate) const NUMBERS: usize = 8 + BUCKETS;

    /// The average wait of the grants, those that did not wait included.
    pub fn average_wait(&self) -> Duration {
        match self.acquisitions {
            0 => Duration::ZERO,
            grants => Duration::from_micros(self.total_wait_us / grants),
        }
    }

    /// The time that 99 of 100 grants had to wait at most, to the next power of two of microseconds.
    pub fn p99_wait(&self) -> Duration {
        let total: u64 = self.buckets.iter().sum();
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if total > 0 && seen * 100 >= total * 99 {
                let most = if bucket == 0 { 0 } else { 1_u64 << bucket };
                return Duration::from_micros(most).min(self.longest_wait);
            }
        }
        Duration::ZERO
    }

    /// The average time that was waited in vain.
    pub fn average_failed_wait(&self) -> Duration {
        match self.failures {
            0 => Duration::ZERO,
            failures => Duration::from_micros(self.failed_wait_us / failures),
        }
    }

    /// Counts a grant; `None`: it did not have to wait.
    pub(crate) fn granted(&mut self, waited: Option<Duration>, at: SystemTime) {
        let wait = waited.unwrap_or_default();
        let us = micros(wait);
        self.acquisitions += 1;
        self.contended += u64::from(waited.is_some());
        self.total_wait_us += us;
        self.longest_wait = self.longest_wait.max(Duration::from_micros(us));
        let bucket = usize::try_from(u64::BITS - us.leading_zeros()).unwrap_or(BUCKETS);
        self.buckets[bucket.min(BUCKETS - 1)] += 1;
        let now = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.last_acquisition = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis(now)));
    }

    /// Counts a wait that came to nothing.
    pub(crate) fn failed(&mut self, waited: Duration) {
        self.failures += 1;
        self.failed_wait_us += micros(waited);
    }

    pub(crate) fn numbers(&self) -> [u64; Self::NUMBERS] {
        let last = self.last_acquisition.and_then(|last| last.duration_since(SystemTime::UNIX_EPOCH).ok());
        let mut numbers = [0; Self::NUMBERS];
        numbers[..8].copy_from_slice(&[
            self.acquisitions,
            self.contended,
            self.failures,
            self.reaped,
            last.map(millis).unwrap_or_default(),
            micros(self.longest_wait),
            self.total_wait_us,
            self.failed_wait_us,
        ]);
        numbers[8..].copy_from_slice(&self.buckets);
        numbers
    }

    pub(crate) fn from_numbers(numbers: &[u64; Self::NUMBERS]) -> Self {
        let mut buckets = [0; BUCKETS];
        buckets.copy_from_slice(&numbers[8..]);
        Self {
            acquisitions: numbers[0],
            contended: numbers[1],
            failures: numbers[2],
            reaped: numbers[3],
            last_acquisition: (numbers[4] != 0)
                .then(|| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(numbers[4])))
                .flatten(),
            longest_wait: Duration::from_micros(numbers[5]),
            total_wait_us: numbers[6],
            failed_wait_us: numbers[7],
            buckets,
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_averages_and_the_99th_percentile() {
        let mut statistics = Statistics::default();
        for _ in 0..990 {
            statistics.granted(None, SystemTime::now());
        }
        for _ in 0..10 {
            statistics.granted(Some(Duration::from_millis(100)), SystemTime::now());
        }
        statistics.failed(Duration::from_secs(2));
        assert_eq!((statistics.acquisitions, statistics.contended, statistics.failures), (1000, 10, 1));
        assert_eq!(statistics.average_wait(), Duration::from_millis(1));
        assert_eq!(statistics.p99_wait(), Duration::ZERO);
        statistics.granted(Some(Duration::from_millis(100)), SystemTime::now());
        assert_eq!(statistics.p99_wait(), Duration::from_millis(100));
        assert_eq!(statistics.average_failed_wait(), Duration::from_secs(2));
        assert_eq!(Statistics::from_numbers(&statistics.numbers()), statistics);
    }
}
