//! What the broker has done since its start.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use dbmux_engine::{Answer, ErrorCode, ServiceError, StatementKind, StatsReply};
use hdrhistogram::Histogram;
use parking_lot::Mutex;

use crate::track::Track;

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
    times: Mutex<Option<Times>>,
}

/// How long statements took, in microseconds.
struct Times {
    /// From its arrival until it ran: of those that did.
    waits: Histogram<u64>,
    /// From then until its answer began.
    runs: Histogram<u64>,
}

/// A statement on its way; counted when it ends.
pub(crate) struct Counted<'a> {
    counters: &'a Counters,
}

impl Counters {
    pub(crate) fn new() -> Self {
        let histogram = || Histogram::new_with_max(LONGEST, 3).ok();
        let times = histogram().zip(histogram()).map(|(waits, runs)| Times { waits, runs });
        Self { times: Mutex::new(times), ..Self::default() }
    }

    pub(crate) fn begin(&self) -> Counted<'_> {
        Counted { counters: self }
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
        if let Some(Times { waits, runs }) = &*self.times.lock() {
            let figures =
                |times: &Histogram<u64>| (times.value_at_quantile(0.5), times.value_at_quantile(0.99), times.max());
            (reply.wait_p50_us, reply.wait_p99_us, reply.wait_max_us) = figures(waits);
            (reply.run_p50_us, reply.run_p99_us, reply.run_max_us) = figures(runs);
        }
        reply
    }
}

impl Counted<'_> {
    /// Counts what became of it, up to the begin of its answer.
    pub(crate) fn end(self, outcome: &Result<Answer, ServiceError>, track: &Track) {
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
        let Some(waited) = track.waited() else { return };
        let ran = track.began.elapsed().saturating_sub(waited);
        if let Some(Times { waits, runs }) = &mut *counters.times.lock() {
            waits.saturating_record(micros(waited));
            runs.saturating_record(micros(ran));
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(LONGEST)
}
