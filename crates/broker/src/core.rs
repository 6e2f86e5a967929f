//! What all parts of a broker share.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dbmux_engine::{Engine, EngineError, Holder, ServiceError, SessionId};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    admission::Admission,
    deadline::Deadline,
    errors::{self, Waited},
    file::File,
    floor::Floor,
    lane::Lanes,
    options::BrokerOptions,
    seat::AllSeats,
    session::BrokerSession,
    stats::Counters,
    track::{Line, Track},
    waiters::Waiters,
};

/// What all parts of a broker share.
pub(crate) struct Core {
    pub(crate) options: BrokerOptions,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) file: Arc<File>,
    pub(crate) admission: Admission,
    pub(crate) floor: Floor,
    pub(crate) seats: AllSeats,
    /// Those who were admitted, and wait for the floor or for the file.
    pub(crate) waiters: Waiters,
    pub(crate) lanes: Lanes,
    pub(crate) counters: Counters,
    pub(crate) sessions: Mutex<HashMap<SessionId, Arc<BrokerSession>>>,
    pub(crate) began: Instant,
    draining: AtomicBool,
    /// How long running statements may still take.
    pub(crate) drain_limit: Mutex<Duration>,
    pub(crate) drain_begun: Notify,
    /// Somebody has said that he waits for the file, or that he does not any more: it is looked at once.
    pub(crate) look_now: Notify,
    /// The broker has drained: whoever listens stops.
    pub(crate) ended: CancellationToken,
}

impl Core {
    pub(crate) fn new(options: BrokerOptions, engine: Arc<dyn Engine>) -> Arc<Self> {
        let limits = options.limits();
        let drain_limit = Mutex::new(options.drain);
        Arc::new(Self {
            file: File::new(Arc::clone(&engine)),
            admission: Admission::new(limits),
            floor: Floor::default(),
            seats: AllSeats::default(),
            waiters: Waiters::default(),
            lanes: Lanes::new(),
            counters: Counters::new(),
            sessions: Mutex::default(),
            began: Instant::now(),
            draining: AtomicBool::new(false),
            drain_limit,
            drain_begun: Notify::new(),
            look_now: Notify::new(),
            ended: CancellationToken::new(),
            options,
            engine,
        })
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Takes no more, and ends when what runs has ended.
    pub(crate) fn drain(&self, limit: Duration) {
        *self.drain_limit.lock() = limit;
        self.leave();
    }

    pub(crate) fn leave(&self) {
        if !self.draining.swap(true, Ordering::AcqRel) {
            tracing::info!("draining");
        }
        self.drain_begun.notify_waiters();
        self.drain_begun.notify_one();
    }

    /// An engine's error, as clients see it. One that says that the engine can no longer be trusted ends the broker.
    pub(crate) fn engine_error(&self, error: EngineError) -> ServiceError {
        if let EngineError::Fatal { message } = &error {
            tracing::error!(%message, "the engine cannot be trusted any more; the broker leaves");
            self.leave();
        }
        errors::engine(error, &self.options.database)
    }

    /// Statements that only read never make a file.
    pub(crate) fn must_exist(&self) -> Result<(), ServiceError> {
        let path = &self.options.database;
        if self.file.attached().is_none() && self.file.snapshot().is_none() && !path.exists() {
            return Err(errors::engine(EngineError::NotFound { path: path.clone() }, path));
        }
        Ok(())
    }

    /// The session whose statement has run longest: for whom those in the queue wait.
    pub(crate) fn longest_running(&self) -> Option<Holder> {
        self.longest(BrokerSession::runs_since)
    }

    /// The session that has kept the file longest: for whom those wait who want it released, or attached anew.
    pub(crate) fn longest_in_file(&self) -> Option<Holder> {
        self.longest(BrokerSession::keeps_file_since)
    }

    fn longest(&self, since: impl Fn(&BrokerSession) -> Option<Instant>) -> Option<Holder> {
        let sessions = self.all_sessions();
        let those = sessions.iter().filter_map(|session| Some((since(session)?, session)));
        those.min_by_key(|(since, _)| *since).map(|(since, session)| session.as_holder(since))
    }

    /// The sessions of this moment. Nothing is locked while they are looked at.
    pub(crate) fn all_sessions(&self) -> Vec<Arc<BrokerSession>> {
        self.sessions.lock().values().cloned().collect()
    }

    /// Waits for a statement's turn: until it comes, its deadline passes, or it is cancelled.
    pub(crate) async fn turn<T>(
        &self,
        turn: impl Future<Output = T>,
        deadline: Deadline,
        track: &Track,
        ahead: impl Fn() -> usize,
    ) -> Result<T, ServiceError> {
        tokio::select! {
            // Whoever never waits still takes what is free.
            biased;
            turn = turn => Ok(turn),
            () = deadline.reached() => Err(self.out_of_time(deadline, ahead())),
            () = track.cancel.cancelled() => Err(track.cancelled()),
        }
    }

    /// Counts everybody who goes before a statement in the queue: those `queued` before it, those who were admitted and
    /// wait for the floor or the file, and those outside who wait for the file before this broker.
    pub(crate) fn before_queued<A>(self: &Arc<Self>, queued: A) -> impl Fn() -> usize + Send + use<A>
    where
        A: Fn() -> usize + Send + 'static,
    {
        // A statement must not keep the broker.
        let core = Arc::downgrade(self);
        move || queued() + core.upgrade().map_or(0, |core| core.waiters.len() + core.file.outside())
    }

    /// The same of one who waits for the floor or the file: `admitted` are those who wait for that before it.
    pub(crate) fn before_admitted<A>(self: &Arc<Self>, admitted: A) -> impl Fn() -> usize + Send + use<A>
    where
        A: Fn() -> usize + Send + 'static,
    {
        let core = Arc::downgrade(self);
        move || admitted() + core.upgrade().map_or(0, |core| core.file.outside())
    }

    /// For whom those in the queue wait: where nothing runs, all who were admitted wait for the file.
    fn kept_by(&self) -> Option<Holder> {
        self.longest_running().or_else(|| self.file.holder())
    }

    /// For whom a statement in the queue waits; asked for every report on it.
    pub(crate) fn line<A>(self: &Arc<Self>, ahead: A) -> impl Fn() -> Line + Send + use<A>
    where
        A: Fn() -> usize + Send + 'static,
    {
        // A statement must not keep the broker.
        let core = Arc::downgrade(self);
        move || Line { ahead: ahead(), holder: core.upgrade().and_then(|core| core.kept_by()) }
    }

    /// The error of a statement that finds no place in the queue.
    pub(crate) fn queue_full(&self, depth: usize) -> ServiceError {
        self.counters.queue_full();
        errors::queue_full(&self.options.database, depth)
    }

    /// The error of a statement whose turn did not come in time.
    pub(crate) fn out_of_time(&self, deadline: Deadline, ahead: usize) -> ServiceError {
        Waited { database: &self.options.database, deadline }.out_of_time(ahead, self.kept_by())
    }
}
