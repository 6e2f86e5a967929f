//! One statement, from its arrival to its answer: its turn in the session, its turn in the broker, the file, the engine.
//!
//! Statements of an open transaction pass the queue: refusing them would keep what everybody waits for. What a statement
//! is becomes known when it is prepared, and that needs the file; so one that turns out to need more than it has (the
//! file for writing, the database for itself) comes back, gets it, and goes on where it was.

use std::{sync::Arc, time::Duration};

use dbmux_engine::{
    Access, Answer, EngineError, EngineSession, Prepared, PreparedStatement, ServiceError, StatementRequest,
};
use tokio::sync::{OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard};

use super::{BrokerSession, Known, Registered, stream};
use crate::{
    admission::{Entry, Permit},
    core::Core,
    deadline::Deadline,
    errors::{self, Waited},
    file::{FileUse, Need},
    track::{Phase, Track},
};

/// How long a result may stay unread before another statement of its session is told so instead of waiting for it.
const UNREAD: Duration = Duration::from_secs(1);

pub(crate) type Turn = OwnedMutexGuard<Box<dyn EngineSession>>;

/// Whether others may run beside it.
#[expect(dead_code, reason = "held, not read")]
pub(crate) enum Beside {
    Others(OwnedRwLockReadGuard<()>),
    Nobody(OwnedRwLockWriteGuard<()>),
    /// An open transaction: it already is beside whoever is there.
    Transaction,
}

/// What a statement has when it runs.
pub(crate) struct Rights {
    pub(crate) file: Option<FileUse>,
    pub(crate) beside: Beside,
    #[expect(dead_code, reason = "held, not read")]
    permit: Option<Permit>,
}

impl Rights {
    pub(crate) fn alone(&self) -> bool {
        matches!(self.beside, Beside::Nobody(_))
    }
}

/// What an unfinished statement still needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lacks {
    TheFileForWriting,
    TheDatabaseForItself,
}

pub(crate) async fn run(
    core: Arc<Core>,
    session: Arc<BrokerSession>,
    request: StatementRequest,
) -> Result<Answer, ServiceError> {
    session.begin_statement(&core)?;
    let registered = Registered::new(&session, &request, core.options.max_inflight)?;
    let deadline = registered.deadline(&request);
    let counted = core.counters.begin();
    let outcome = match core.lanes.accepts(&core, &session, &request) {
        Some(shape) => core.lanes.insert(&core, shape, request, registered, deadline).await,
        None => run_alone(&core, registered, request, deadline).await,
    };
    counted.end(&outcome);
    outcome
}

async fn run_alone(
    core: &Arc<Core>,
    registered: Registered,
    request: StatementRequest,
    deadline: Deadline,
) -> Result<Answer, ServiceError> {
    let session = Arc::clone(&registered.session);
    let track = Arc::clone(&registered.track);
    let mut turn = take_turn(&session, &track, deadline).await?;
    let mut rights = acquire(core, &session, &request, &track, deadline).await?;
    let mut job = stream::Job::new(registered, request, deadline);
    loop {
        let interrupt = stream::InterruptOnDrop::new(&session, track.id);
        match stream::start(core, job, turn, rights).await? {
            stream::Started::Answered(answer) => {
                interrupt.disarm();
                return Ok(answer);
            }
            stream::Started::Lacks { what, job: unfinished, turn: its_turn, rights: had } => {
                interrupt.disarm();
                (job, turn) = (*unfinished, its_turn);
                rights = acquire_more(core, what, had, &track, deadline).await?;
            }
        }
    }
}

/// Waits until the session's earlier statements are done.
pub(crate) async fn take_turn(
    session: &BrokerSession,
    track: &Track,
    deadline: Deadline,
) -> Result<Turn, ServiceError> {
    let turn = Arc::clone(&session.engine).lock_owned();
    tokio::pin!(turn);
    loop {
        tokio::select! {
            turn = &mut turn => return Ok(turn),
            () = deadline.reached() => return Err(errors::session_busy()),
            () = track.cancel.cancelled() => return Err(errors::cancelled()),
            () = tokio::time::sleep(UNREAD) => {}
        }
        let unread = |other: &Arc<Track>| other.phase() == Phase::Sending && other.unread_for() >= UNREAD;
        if session.tracks.lock().values().any(unread) {
            return Err(errors::session_busy());
        }
    }
}

async fn acquire(
    core: &Arc<Core>,
    session: &BrokerSession,
    request: &StatementRequest,
    track: &Track,
    deadline: Deadline,
) -> Result<Rights, ServiceError> {
    if session.in_transaction() {
        return Ok(Rights { file: None, beside: Beside::Transaction, permit: None });
    }
    let permit = admit(core, track, deadline).await?;
    let beside = tokio::select! {
        guard = Arc::clone(&core.exclusive).read_owned() => Beside::Others(guard),
        () = deadline.reached() => return Err(out_of_time(core, deadline, 0)),
        () = track.cancel.cancelled() => return Err(errors::cancelled()),
    };
    if request.read_only || session.identity.read_only {
        core.must_exist()?;
    }
    let file = core.file.enter(Need::Read, deadline, track).await?;
    Ok(Rights { file: Some(file), beside, permit: Some(permit) })
}

/// Waits for a place among those that run.
pub(crate) async fn admit(core: &Arc<Core>, track: &Track, deadline: Deadline) -> Result<Permit, ServiceError> {
    let entry = core.admission.enter(track.priority).map_err(|full| {
        core.counters.queue_full();
        errors::queue_full(&core.options.database, full.depth)
    })?;
    let mut waiting = match entry {
        Entry::Granted(permit) => return Ok(permit),
        Entry::Queued(waiting) => waiting,
    };
    track.count_ahead_with(waiting.counter());
    tokio::select! {
        permit = waiting.granted() => permit.ok_or_else(errors::reconnect),
        () = deadline.reached() => Err(out_of_time(core, deadline, waiting.ahead())),
        () = track.cancel.cancelled() => Err(errors::cancelled()),
    }
}

async fn acquire_more(
    core: &Arc<Core>,
    what: Lacks,
    had: Rights,
    track: &Track,
    deadline: Deadline,
) -> Result<Rights, ServiceError> {
    match what {
        Lacks::TheFileForWriting => {
            // Ours must go first: the file is attached anew.
            drop(had.file);
            let file = core.file.enter(Need::Write, deadline, track).await?;
            Ok(Rights { file: Some(file), ..had })
        }
        Lacks::TheDatabaseForItself => {
            drop(had.beside);
            track.enter(Phase::Queued);
            let guard = tokio::select! {
                guard = Arc::clone(&core.exclusive).write_owned() => guard,
                () = deadline.reached() => return Err(out_of_time(core, deadline, core.admission.view().running)),
                () = track.cancel.cancelled() => return Err(errors::cancelled()),
            };
            Ok(Rights { beside: Beside::Nobody(guard), ..had })
        }
    }
}

fn out_of_time(core: &Core, deadline: Deadline, ahead: usize) -> ServiceError {
    Waited { database: &core.options.database, deadline }.out_of_time(ahead, core.longest_running())
}

/// What the prepared statement still needs, given what it has.
pub(crate) fn lacks(prepared: &Prepared, rights: &Rights, read_only: bool) -> Result<Option<Lacks>, EngineError> {
    use dbmux_engine::StatementKind::{Exclusive, Read};
    if prepared.kind == Read || prepared.transaction_control || read_only {
        return Ok(None);
    }
    if rights.file.as_ref().is_some_and(|file| file.access == Access::ReadOnly) {
        return Ok(Some(Lacks::TheFileForWriting));
    }
    let in_transaction = matches!(rights.beside, Beside::Transaction);
    if prepared.kind == Exclusive && !rights.alone() && !in_transaction {
        return Ok(Some(Lacks::TheDatabaseForItself));
    }
    Ok(None)
}

impl BrokerSession {
    /// Tells the client once what was ended behind its back, and lets nothing new begin while the broker leaves.
    fn begin_statement(&self, core: &Core) -> Result<(), ServiceError> {
        let mut kept = self.kept.lock();
        kept.last_active = std::time::Instant::now();
        if let Some(told) = kept.ended_by_us.take() {
            return Err(told);
        }
        if kept.closed {
            return Err(errors::session_lost());
        }
        if core.is_draining() && !kept.state.in_transaction {
            return Err(errors::reconnect());
        }
        kept.statements += 1;
        Ok(())
    }

    pub(super) async fn prepare_only(&self, sql: &str) -> Result<PreparedStatement, ServiceError> {
        let (Some(core), Some(me)) = (self.core.upgrade(), self.me.upgrade()) else { return Err(errors::reconnect()) };
        self.begin_statement(&core)?;
        let request = StatementRequest { sql: sql.to_owned(), ..StatementRequest::default() };
        let registered = Registered::new(&me, &request, core.options.max_inflight)?;
        let deadline = registered.deadline(&request);
        let track = Arc::clone(&registered.track);
        let mut turn = take_turn(&me, &track, deadline).await?;
        let rights = acquire(&core, &me, &request, &track, deadline).await?;
        let text = sql.to_owned();
        let prepared = tokio::task::spawn_blocking(move || {
            let prepared = turn.prepare(&text);
            drop((turn, rights, registered));
            prepared
        });
        let prepared = prepared.await.map_err(|error| errors::internal(error.to_string()))?;
        let prepared = prepared.map_err(|error| errors::engine(error, &core.options.database))?;
        let insert = core.engine.insert_shape(sql);
        let known = Known { prepared: prepared.clone(), text: sql.into(), insert };
        self.prepared.lock().insert(prepared.id, known);
        Ok(PreparedStatement {
            id: prepared.id,
            kind: prepared.kind,
            shape: prepared.shape,
            schema: prepared.schema,
            parameters: prepared.parameters,
        })
    }
}
