//! One client's conversation: its engine session, its statements on their way, and what it keeps open.
//!
//! One statement of a session runs at a time; the others of that session wait for its turn. The engine session is
//! behind an asynchronous lock that a blocking thread takes along, so that a result which is still being read keeps it.

mod ended;
mod job;
mod rows;
mod run;
mod running;

use self::ended::Ended;
pub(crate) use self::run::step_on_floor;
#[cfg(test)]
pub(crate) use self::running::CountsInterrupts;
pub(crate) use self::running::Running;

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Weak, atomic::AtomicU64},
    time::{Duration, Instant},
};

use dbmux_engine::{
    CatalogSql, EngineSession, HelloRequest, IngestSql, InsertShape, Interrupter, Peer, Prepared, PreparedId,
    PreparedStatement, Priority, ServiceError, Session, SessionId, SessionState, StatementEvent, StatementRequest,
};
use dbmux_proto::LeaseReads;
use futures::{Stream, StreamExt};
use parking_lot::Mutex;

use crate::{
    core::Core,
    deadline::Deadline,
    errors,
    file::FileUse,
    seat::Seat,
    track::{self, Phase, Track},
};

/// What a session is, as it said itself.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) peer: Peer,
    pub(crate) command: String,
    pub(crate) user: String,
    pub(crate) read_only: bool,
    /// Its reads wait for the file itself.
    pub(crate) reads_wait: bool,
    pub(crate) wait: Duration,
    pub(crate) priority: Priority,
    pub(crate) opened: Instant,
}

/// A session of the broker.
pub(crate) struct BrokerSession {
    pub(crate) id: SessionId,
    pub(crate) identity: Identity,
    core: Weak<Core>,
    catalog: CatalogSql,
    ingest: IngestSql,
    me: Weak<BrokerSession>,
    engine: Arc<tokio::sync::Mutex<Box<dyn EngineSession>>>,
    interrupter: Arc<dyn Interrupter>,
    running: Running,
    pub(crate) tracks: Mutex<HashMap<u64, Arc<Track>>>,
    pub(crate) kept: Mutex<Kept>,
    prepared: Mutex<HashMap<PreparedId, Known>>,
    /// Dropped by the client while a statement ran; the engine hears of them before the next one.
    forgotten: Mutex<Vec<PreparedId>>,
    /// Numbers statements that the client did not number; counts down so that the two never meet.
    own_numbers: AtomicU64,
}

/// What a session keeps from one statement to the next.
pub(crate) struct Kept {
    pub(crate) state: SessionState,
    pub(crate) transaction_since: Option<Instant>,
    /// The open transaction keeps the file attached.
    pub(crate) file: Option<FileUse>,
    /// The open transaction has written, where one session writes at a time.
    pub(crate) seats: Vec<Seat>,
    pub(crate) last_active: Instant,
    pub(crate) statements: u64,
    /// Its transaction was ended by us.
    pub(crate) ended: Option<Ended>,
    pub(crate) closed: bool,
}

impl Kept {
    /// The engine's word on the session, after whatever it did. A transaction that began beside the file, and has come upon
    /// it, keeps it from here on.
    fn is_now(&mut self, state: SessionState) {
        self.transaction_since = match self.transaction_since {
            Some(since) if state.in_transaction => Some(since),
            _ => state.in_transaction.then(Instant::now),
        };
        self.state = state;
        if let Some(file) = self.file.as_mut().filter(|_| state.in_file) {
            file.comes_in();
        }
    }
}

/// A prepared statement, as the broker knows it.
struct Known {
    prepared: Prepared,
    text: Arc<str>,
    insert: Option<InsertShape>,
}

impl BrokerSession {
    pub(crate) fn new(
        id: SessionId,
        core: &Arc<Core>,
        hello: &HelloRequest,
        peer: Peer,
        engine: Box<dyn EngineSession>,
    ) -> Arc<Self> {
        let interrupter = engine.interrupter();
        let identity = Identity {
            peer,
            command: hello.command.clone(),
            user: peer.uid.map(dbmux_os::process::user_name).unwrap_or_default(),
            read_only: hello.read_only,
            reads_wait: hello.reads() == LeaseReads::Wait,
            wait: Duration::from_millis(hello.default_wait_ms),
            priority: priority(hello.default_priority()).unwrap_or_default(),
            opened: Instant::now(),
        };
        let kept = Kept {
            state: SessionState::default(),
            transaction_since: None,
            file: None,
            seats: Vec::new(),
            last_active: Instant::now(),
            statements: 0,
            ended: None,
            closed: false,
        };
        Arc::new_cyclic(|me| Self {
            id,
            identity,
            core: Arc::downgrade(core),
            catalog: core.engine.catalog_sql(),
            ingest: core.engine.ingest_sql(),
            me: me.clone(),
            engine: Arc::new(tokio::sync::Mutex::new(engine)),
            running: Running::new(Arc::clone(&interrupter)),
            interrupter,
            tracks: Mutex::default(),
            kept: Mutex::new(kept),
            prepared: Mutex::default(),
            forgotten: Mutex::default(),
            own_numbers: AtomicU64::new(u64::MAX),
        })
    }

    pub(crate) fn in_transaction(&self) -> bool {
        self.kept.lock().state.in_transaction
    }

    /// Ends whatever runs or waits, and rolls the transaction back.
    pub(crate) async fn close(&self) {
        self.kept.lock().closed = true;
        self.cancel_all();
        let turn = Arc::clone(&self.engine).lock_owned().await;
        self.roll_back(turn, None).await;
    }

    /// Nothing of its own stands between it and the others: no transaction, no temporary objects, no settings.
    pub(crate) fn is_plain(&self) -> bool {
        let state = self.kept.lock().state;
        !state.in_transaction && !state.has_state
    }

    /// Another statement of it is on its way, and not in a lane.
    pub(crate) fn is_busy_beside(&self, track: &Track) -> bool {
        self.tracks.lock().values().any(|other| other.id != track.id && !other.is_in_a_lane())
    }

    /// A statement that was prepared for later.
    pub(crate) fn prepared(&self, id: PreparedId) -> Option<Prepared> {
        self.prepared.lock().get(&id).map(|known| known.prepared.clone())
    }

    /// The text of what is asked to run.
    fn text(&self, request: &StatementRequest) -> Arc<str> {
        let prepared = request.prepared.and_then(|id| Some(Arc::clone(&self.prepared.lock().get(&id)?.text)));
        prepared.unwrap_or_else(|| request.sql.as_str().into())
    }

    /// The shape and text of a prepared single-row insert.
    pub(crate) fn prepared_insert(&self, id: PreparedId) -> Option<(InsertShape, Arc<str>)> {
        let prepared = self.prepared.lock();
        let known = prepared.get(&id)?;
        Some((known.insert.clone()?, Arc::clone(&known.text)))
    }

    fn cancel_all(&self) -> bool {
        let tracks: Vec<_> = self.tracks.lock().values().cloned().collect();
        for track in &tracks {
            self.cancel_one(track);
        }
        !tracks.is_empty()
    }

    fn cancel_one(&self, track: &Track) {
        track.cancel.cancel();
        self.running.interrupt(track.id);
    }

    /// Ends an idle transaction for those who wait; the client is told at its next statement.
    pub(crate) async fn end_transaction(&self, told: ServiceError) {
        if let Ok(session) = Arc::clone(&self.engine).try_lock_owned() {
            self.roll_back(session, Some(told)).await;
        }
    }

    /// Ends a result that nobody reads.
    pub(crate) fn end_result(&self, track: &Track, told: ServiceError) {
        track.end_because(told);
        self.running.interrupt(track.id);
    }

    /// Since when it keeps the file: by an open transaction, or by a statement that runs.
    pub(crate) fn keeps_file_since(&self) -> Option<Instant> {
        let core = self.core.upgrade()?;
        let (copy_answers, beside) = (core.file.snapshot().is_some(), self.transaction_is_beside_file(&core));
        let transaction = self.kept.lock().transaction_since.filter(|_| !beside);
        let tracks = self.tracks.lock();
        let statements = tracks.values().filter(|track| track.runs_in_file(copy_answers)).map(|track| track.began);
        statements.chain(transaction).min()
    }

    /// Since when a statement of it is on its way that runs now.
    pub(crate) fn runs_since(&self) -> Option<Instant> {
        self.tracks.lock().values().filter(|track| track.is_running()).map(|track| track.began).min()
    }

    async fn roll_back(
        &self,
        mut session: tokio::sync::OwnedMutexGuard<Box<dyn EngineSession>>,
        told: Option<ServiceError>,
    ) {
        let rolled = tokio::task::spawn_blocking(move || {
            let outcome = session.roll_back();
            (outcome, session)
        })
        .await;
        let mut kept = self.kept.lock();
        match &rolled {
            Ok((Ok(()), session)) => kept.is_now(session.state()),
            Ok((Err(error), _)) => tracing::warn!(%error, session = ?self.id, "a transaction could not be rolled back"),
            Err(error) => tracing::error!(%error, session = ?self.id, "the engine panicked in a roll-back"),
        }
        kept.file = None;
        kept.seats.clear();
        if let Some(told) = told {
            kept.ended = Some(Ended::new(told));
        }
        drop(kept);
        // Only now may another statement of the session go on: it must see that its transaction is gone.
        drop(rolled);
    }
}

/// The message's priority; `None`: not said.
pub(crate) fn priority(said: dbmux_proto::Priority) -> Option<Priority> {
    match said {
        dbmux_proto::Priority::Unspecified => None,
        dbmux_proto::Priority::High => Some(Priority::High),
        dbmux_proto::Priority::Normal => Some(Priority::Normal),
        dbmux_proto::Priority::Low => Some(Priority::Low),
    }
}

#[async_trait::async_trait]
impl Session for BrokerSession {
    fn id(&self) -> SessionId {
        self.id
    }

    fn catalog_sql(&self) -> CatalogSql {
        self.catalog
    }

    fn ingest_sql(&self) -> IngestSql {
        self.ingest
    }

    async fn prepare(&self, sql: &str) -> Result<PreparedStatement, ServiceError> {
        self.prepare_only(sql).await
    }

    async fn forget(&self, prepared: PreparedId) {
        self.prepared.lock().remove(&prepared);
        // Whoever drops a statement before its result is read must not wait for himself.
        match self.engine.try_lock() {
            Ok(mut engine) => engine.forget(prepared),
            Err(_) => self.forgotten.lock().push(prepared),
        }
    }

    async fn run(&self, request: StatementRequest) -> Result<dbmux_engine::Answer, ServiceError> {
        let Some(core) = self.core.upgrade() else { return Err(errors::reconnect()) };
        let Some(me) = self.me.upgrade() else { return Err(errors::reconnect()) };
        run::run(core, me, request).await
    }

    fn cancel(&self, statement_id: u64) -> bool {
        if statement_id == 0 {
            return self.cancel_all();
        }
        let track = self.tracks.lock().get(&statement_id).cloned();
        track.is_some_and(|track| {
            self.cancel_one(&track);
            true
        })
    }

    fn watch(&self, statement_id: u64) -> Pin<Box<dyn Stream<Item = StatementEvent> + Send>> {
        let track = self.tracks.lock().get(&statement_id).cloned();
        match track {
            Some(track) => {
                let core = self.core.clone();
                Box::pin(track::events(track).map(move |event| with_holder(event, &core)))
            }
            None => Box::pin(futures::stream::empty()),
        }
    }
}

/// Whoever stands in line is told for whom: what has run longest.
fn with_holder(mut event: StatementEvent, core: &Weak<Core>) -> StatementEvent {
    if event.state() == dbmux_proto::StatementState::Queued && event.holder.is_none() {
        event.holder = core.upgrade().and_then(|core| core.longest_running());
    }
    event
}

/// A statement's entry in its session: ends with this, whatever happens.
pub(crate) struct Registered {
    pub(crate) session: Arc<BrokerSession>,
    pub(crate) track: Arc<Track>,
}

impl Registered {
    /// Registers a statement, unless the session has too many on their way.
    pub(crate) fn new(
        session: &Arc<BrokerSession>,
        request: &StatementRequest,
        limit: usize,
    ) -> Result<Self, ServiceError> {
        let mut tracks = session.tracks.lock();
        if tracks.len() >= limit {
            return Err(errors::too_many_in_flight(limit));
        }
        let id = match request.statement_id {
            0 => session.own_numbers.fetch_sub(1, std::sync::atomic::Ordering::Relaxed),
            id => id,
        };
        if tracks.contains_key(&id) {
            return Err(errors::number_taken(id));
        }
        let priority = request.priority.unwrap_or(session.identity.priority);
        let track = Track::new(id, priority, &request.sql, Arc::clone(&session.interrupter), session.identity.peer.pid);
        tracks.insert(id, Arc::clone(&track));
        drop(tracks);
        Ok(Self { session: Arc::clone(session), track })
    }

    pub(crate) fn deadline(&self, request: &StatementRequest) -> Deadline {
        Deadline::after(request.wait.unwrap_or(self.session.identity.wait))
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.track.enter(Phase::Ended);
        self.session.tracks.lock().remove(&self.track.id);
        self.session.kept.lock().last_active = Instant::now();
    }
}
