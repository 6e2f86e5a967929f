//! Locks' figures in the lines that users of agents' memory servers know, and ours behind them.

use std::time::SystemTime;

use dbmux_lock::Snapshot;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{person, stats::Figures};

/// The figures of one database's locks, or of several together: those of the file, and of what is taken by name. Which
/// broker owns a file is no access to it.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Concurrent {
    /// Grants.
    pub total_acquisitions: u64,
    /// Who gave up.
    pub failed_acquisitions: u64,
    /// Of all grants, seconds.
    pub average_wait_s: f64,
    /// Seconds.
    pub maximum_wait_s: f64,
    /// Of the slowest lock, seconds.
    pub p99_wait_s: f64,
    /// Who has a lock now.
    pub active_locks: u64,
    /// Who waits for one now.
    pub waiting: u64,
    /// Grants that had to wait.
    pub contended: u64,
    /// Statements that wait in brokers now.
    pub queued_statements: u64,
    /// UTC, RFC 3339 without fractions; `None`: never.
    pub last_acquisition: Option<String>,
}

impl Concurrent {
    /// Adds the figures of these databases up.
    pub fn of(figures: &[Figures]) -> Self {
        let mut sum = Self::default();
        let (mut waited_s, mut last) = (0.0, None::<SystemTime>);
        let locks = figures.iter().flat_map(|one| &one.locks).filter(|(name, _)| *name != "owner");
        for (_, lock) in locks {
            let one = &lock.statistics;
            sum.add(lock);
            waited_s += one.average_wait().as_secs_f64() * count(one.acquisitions);
            last = last.max(one.last_acquisition);
        }
        if sum.total_acquisitions > 0 {
            sum.average_wait_s = waited_s / count(sum.total_acquisitions);
        }
        let brokers = figures.iter().filter_map(|one| one.broker.as_ref());
        sum.queued_statements = brokers.map(|broker| u64::from(broker.queued)).sum();
        sum.last_acquisition = last.map(|at| humantime::format_rfc3339_seconds(at).to_string());
        sum
    }

    fn add(&mut self, lock: &Snapshot) {
        let one = &lock.statistics;
        self.total_acquisitions += one.acquisitions;
        self.failed_acquisitions += one.failures;
        self.contended += one.contended;
        self.active_locks += lock.holders.len() as u64;
        self.waiting += lock.waiters.len() as u64;
        self.maximum_wait_s = self.maximum_wait_s.max(one.longest_wait.as_secs_f64());
        self.p99_wait_s = self.p99_wait_s.max(one.p99_wait().as_secs_f64());
    }

    /// A line each.
    pub fn text(&self) -> String {
        let last = self.last_acquisition.as_deref().map_or("never", |at| at.trim_end_matches('Z'));
        let tried = self.total_acquisitions + self.failed_acquisitions;
        format!(
            "=== Concurrent Access Statistics ===\n\
             Total lock acquisitions: {}\n\
             Failed acquisitions: {}\n\
             Average wait time: {:.3}s\n\
             Maximum wait time: {:.3}s\n\
             Currently active locks: {}\n\
             Last acquisition: {last}\n\
             Contended acquisitions: {} ({})\n\
             99th percentile wait time: {:.3}s\n\
             Failure rate: {}\n\
             Currently waiting: {}\n\
             Statements queued: {}\n",
            person::count(self.total_acquisitions),
            person::count(self.failed_acquisitions),
            self.average_wait_s,
            self.maximum_wait_s,
            person::count(self.active_locks),
            person::count(self.contended),
            share(self.contended, self.total_acquisitions),
            self.p99_wait_s,
            share(self.failed_acquisitions, tried),
            person::count(self.waiting),
            person::count(self.queued_statements),
        )
    }
}

/// `12.5 %`.
fn share(part: u64, whole: u64) -> String {
    let share = if whole == 0 { 0.0 } else { count(part) / count(whole) };
    format!("{:.1} %", 100.0 * share)
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_those_that_their_users_know() {
        let figures = Concurrent {
            total_acquisitions: 1523,
            failed_acquisitions: 2,
            average_wait_s: 0.0154,
            maximum_wait_s: 0.2341,
            contended: 381,
            last_acquisition: Some("2025-01-26T10:30:45Z".to_owned()),
            ..Concurrent::default()
        };
        let text = figures.text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..7],
            [
                "=== Concurrent Access Statistics ===",
                "Total lock acquisitions: 1,523",
                "Failed acquisitions: 2",
                "Average wait time: 0.015s",
                "Maximum wait time: 0.234s",
                "Currently active locks: 0",
                "Last acquisition: 2025-01-26T10:30:45",
            ]
        );
        assert!(
            text.contains("Contended acquisitions: 381 (25.0 %)") && text.contains("Failure rate: 0.1 %"),
            "{text}"
        );
        assert!(Concurrent::of(&[]).text().contains("Last acquisition: never"));
    }
}
