//! A connection whose calls are timed: what a worker does beside them must not count.

use std::{collections::BTreeMap, thread, time::Duration};

use arrow::array::RecordBatch;
use dbmux_os::clock;

use crate::command::probe::{
    connection::{CallError, Connection, Door},
    dialect::Operation,
    errors,
    histogram::Histogram,
    job::{Job, Report, Role, Tally},
};

/// How long a worker that could not connect waits before it tries again.
const PAUSE: Duration = Duration::from_millis(20);

/// One call's outcome, with its times on the clock that all processes share.
pub(super) struct Called<T> {
    pub(super) outcome: Result<T, CallError>,
    pub(super) began: u64,
    pub(super) ended: u64,
}

/// A worker's connection, and how long its calls took.
pub(super) struct Timed {
    door: Door,
    connection: Option<Box<dyn Connection>>,
    writes: bool,
    time: Duration,
    /// When it began, on the clock that all processes share.
    start: Duration,
    took: Vec<u64>,
    errors: BTreeMap<String, u64>,
    called: Duration,
    paused: Duration,
}

impl Timed {
    pub(super) fn new(job: &Job) -> Result<Self, CallError> {
        Ok(Self {
            door: Door::new(job)?,
            connection: None,
            writes: job.role == Role::Writer,
            time: job.time,
            start: clock::monotonic(),
            // Room for what a fast engine does in some seconds: growing costs little, but it costs.
            took: Vec::with_capacity(1 << 16),
            errors: BTreeMap::new(),
            called: Duration::ZERO,
            paused: Duration::ZERO,
        })
    }

    pub(super) fn connect(&mut self) -> Result<(), CallError> {
        self.connection = Some(self.door.connect(self.writes)?);
        Ok(())
    }

    /// The work begins.
    pub(super) fn begin(&mut self) {
        self.start = clock::monotonic();
    }

    /// The time is not over.
    pub(super) fn goes_on(&self) -> bool {
        (clock::monotonic() - self.start) < self.time
    }

    /// Runs one call, after it has connected, where it could not before. `check`: whether the answer is what it must be.
    pub(super) fn call<T>(
        &mut self,
        operation: &Operation,
        check: impl FnOnce(Result<Vec<RecordBatch>, CallError>) -> Result<T, CallError>,
    ) -> Called<T> {
        let began = clock::monotonic();
        let connected = if self.connection.is_none() { self.connect() } else { Ok(()) };
        let refused = connected.is_err();
        let answer = match (connected, &mut self.connection) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(connection)) => connection.run(operation),
            (Ok(()), None) => Err(CallError::new("there is no connection")),
        };
        let ended = clock::monotonic();
        self.called += ended - began;
        let outcome = check(answer);
        match &outcome {
            Ok(_) => self.took.push(micros(ended - began)),
            Err(error) => *self.errors.entry(errors::alike(&error.text)).or_default() += 1,
        }
        if refused {
            thread::sleep(PAUSE);
            self.paused += clock::monotonic() - ended;
        }
        Called { outcome, began: micros(began), ended: micros(ended) }
    }

    /// The work is over.
    pub(super) fn report(&mut self) -> Report {
        let total = clock::monotonic() - self.start;
        Report {
            connected: self.connection.is_some(),
            calls: Tally {
                took: Histogram::of(std::mem::take(&mut self.took)),
                errors: std::mem::take(&mut self.errors),
            },
            total_us: micros(total),
            called_us: micros(self.called),
            paused_us: micros(self.paused),
            ..Report::default()
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
