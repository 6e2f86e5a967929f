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
use tokio::sync::{Notify, RwLock};
use tokio_util::sync::CancellationToken;

use crate::{
    admission::Admission, errors, file::File, lane::Lanes, options::BrokerOptions, session::BrokerSession,
    stats::Counters, track::Phase,
};

/// What all parts of a broker share.
pub(crate) struct Core {
    pub(crate) options: BrokerOptions,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) file: Arc<File>,
    pub(crate) admission: Admission,
    /// Statements share it; an exclusive one has it alone.
    pub(crate) exclusive: Arc<RwLock<()>>,
    pub(crate) lanes: Lanes,
    pub(crate) counters: Counters,
    pub(crate) sessions: Mutex<HashMap<SessionId, Arc<BrokerSession>>>,
    pub(crate) began: Instant,
    draining: AtomicBool,
    /// How long running statements may still take.
    pub(crate) drain_limit: Mutex<Duration>,
    pub(crate) drain_begun: Notify,
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
            exclusive: Arc::default(),
            lanes: Lanes::new(),
            counters: Counters::new(),
            sessions: Mutex::default(),
            began: Instant::now(),
            draining: AtomicBool::new(false),
            drain_limit,
            drain_begun: Notify::new(),
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

    /// Statements that only read never make a file.
    pub(crate) fn must_exist(&self) -> Result<(), ServiceError> {
        let path = &self.options.database;
        if self.file.attached().is_none() && !path.exists() {
            return Err(errors::engine(EngineError::NotFound { path: path.clone() }, path));
        }
        Ok(())
    }

    /// The session whose statement has run longest: for whom others wait.
    pub(crate) fn longest_running(&self) -> Option<Holder> {
        let sessions: Vec<_> = self.sessions.lock().values().cloned().collect();
        let longest = |session: &Arc<BrokerSession>| {
            let tracks = session.tracks.lock();
            let running = |phase| matches!(phase, Phase::Running | Phase::Sending);
            tracks.values().filter(|track| running(track.phase())).map(|track| track.began).min()
        };
        let oldest =
            sessions.iter().filter_map(|session| Some((longest(session)?, session))).min_by_key(|(began, _)| *began);
        oldest.map(|(began, session)| session.as_holder(began.elapsed()))
    }
}
