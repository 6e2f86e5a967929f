//! What the broker has done since its start.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use dbmux_engine::{Answer, ErrorCode, ServiceError, StatementKind, StatsReply};
use hdrhistogram::Histogram;
use parking_lot::Mutex;

/// The longest time that the histograms tell apart, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;

/// Counters; each is exact, and they are read one by one.
#[derive(Default)]
pub(crate) struct Counters {
    statements: AtomicU64,
    failures: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
    merged_statements: AtomicU64,
    merged_batches: AtomicU64,
    conflicts_retried: AtomicU64,
    cancelled: AtomicU64,
    queue_full: AtomicU64,
    deadlines: AtomicU64,
    sessions_opened: AtomicU64,
    answer_times: Mutex<Option<Histogram<u64>>>,
}

/// A statement on its way; counted when it ends.
pub(crate) struct Counted<'a> {
    counters: &'a Counters,
    began: Instant,
}

impl Counters {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_max(LONGEST, 3).ok();
        Self { answer_times: Mutex::new(histogram), ..Self::default() }
    }

    pub(crate) fn begin(&self) -> Counted<'_> {
        Counted { counters: self, began: Instant::now() }
    }

    pub(crate) fn queue_full(&self) {
        self.queue_full.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn conflict_retried(&self) {
        self.conflicts_retried.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn merged(&self, statements: usize) {
        self.merged_batches.fetch_add(1, Ordering::Relaxed);
        self.merged_statements.fetch_add(statements as u64, Ordering::Relaxed);
    }

    pub(crate) fn session_opened(&self) {
        self.sessions_opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn reply(&self) -> StatsReply {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut reply = StatsReply {
            statements: read(&self.statements),
            failures: read(&self.failures),
            reads: read(&self.reads),
            writes: read(&self.writes),
            merged_statements: read(&self.merged_statements),
            merged_batches: read(&self.merged_batches),
            conflicts_retried: read(&self.conflicts_retried),
            cancelled: read(&self.cancelled),
            queue_full: read(&self.queue_full),
            deadlines: read(&self.deadlines),
            sessions_opened: read(&self.sessions_opened),
            ..StatsReply::default()
        };
        if let Some(times) = &*self.answer_times.lock() {
            reply.run_p50_us = times.value_at_quantile(0.5);
            reply.run_p99_us = times.value_at_quantile(0.99);
            reply.run_max_us = times.max();
        }
        reply
    }
}

impl Counted<'_> {
    /// Counts what became of it, up to the begin of its answer.
    pub(crate) fn end(self, outcome: &Result<Answer, ServiceError>) {
        let counters = self.counters;
        counters.statements.fetch_add(1, Ordering::Relaxed);
        let counter = match outcome {
            Ok(answer) if answer.kind == StatementKind::Read => &counters.reads,
            Ok(_) => &counters.writes,
            Err(_) => &counters.failures,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        match outcome.as_ref().map_err(ServiceError::code) {
            Err(ErrorCode::Cancelled) => counters.cancelled.fetch_add(1, Ordering::Relaxed),
            Err(ErrorCode::DeadlineExceeded | ErrorCode::DatabaseLocked) => {
                counters.deadlines.fetch_add(1, Ordering::Relaxed)
            }
            _ => 0,
        };
        if let Some(times) = &mut *counters.answer_times.lock() {
            times.saturating_record(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(LONGEST));
        }
    }
}
