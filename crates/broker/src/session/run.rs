//! One statement, from its arrival to its answer: its turn in the session, its turn in the broker, the file, the engine.
//!
//! Statements of an open transaction pass the queue: refusing them would keep what everybody waits for. What a statement
//! is becomes known when it is prepared, and that needs the file; so one that turns out to need more than it has (the
//! file for writing, the database for itself) comes back, gets it, and goes on where it was.

use std::{future::Future, sync::Arc, time::Duration};

use arrow::datatypes::Schema;
use dbmux_engine::{
    Answer, EngineError, EngineSession, Prepared, PreparedStatement, ResultShape, Seats, ServiceError, StatementKind,
    StatementRequest,
};
use futures::FutureExt;
use tokio::sync::OwnedMutexGuard;

use super::{
    BrokerSession, Known, Registered,
    ended::{Ended, Verdict},
    job,
};
use crate::{
    admission::{Entry, Permit},
    core::Core,
    deadline::Deadline,
    errors,
    file::{File, FileUse, Need},
    floor::OnFloor,
    seat::{AllSeats, OneSeat, Seat},
    track::{Line, Phase, Track},
};

/// How long a result may stay unread before another statement of its session is told so instead of waiting for it.
const UNREAD: Duration = Duration::from_secs(1);

pub(crate) type Turn = OwnedMutexGuard<Box<dyn EngineSession>>;

/// What a statement has when it runs.
pub(crate) struct Rights {
    pub(crate) file: Option<FileUse>,
    /// `None`: it belongs to an open transaction, which already is beside whoever is there.
    pub(crate) floor: Option<OnFloor>,
    /// Where one session writes at a time; none: it does not write.
    pub(crate) seats: Vec<Seat>,
    permit: Option<Permit>,
}

/// What an unfinished statement still needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lacks {
    FileForWriting,
    DatabaseForItself,
    /// Where one session writes at a time: the right to be that one.
    Seats(Seats),
    /// A foreign process is at work in it.
    FileFromAnother,
}

pub(crate) async fn run(
    core: Arc<Core>,
    session: Arc<BrokerSession>,
    request: StatementRequest,
) -> Result<Answer, ServiceError> {
    // Registered first: a broker that begins to leave now either sees the statement, or is seen to leave by it.
    let registered = Registered::new(&session, &request, core.options.max_inflight)?;
    session.begin_statement(&core)?;
    if session.settles(&request)? {
        return Ok(done());
    }
    let deadline = registered.deadline(&request);
    let track = Arc::clone(&registered.track);
    let counted = core.counters.begin();
    let merged = match core.lanes.accepts(&core, &session, &track, &request) {
        // Whoever never waits does not wait for company either.
        Some(shape) if !deadline.passed() => core.lanes.insert(&core, shape, &request, &registered, deadline).await,
        _ => Ok(None),
    };
    let outcome = match merged {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => run_alone(&core, registered, request, deadline).await,
        Err(error) => Err(error),
    };
    counted.end(&outcome, &track);
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
    // Asked again now: while it waited, the session may have been closed, or its transaction ended.
    if session.settles(&request)? {
        return Ok(done());
    }
    let mut rights = acquire(core, &session, &request, &track, deadline).await?;
    let mut job = job::Job::new(registered, request, deadline);
    loop {
        let interrupt = job::InterruptOnDrop::new(&session, track.id);
        match job::start(core, job, turn, rights).await? {
            job::Started::Answered(answer) => {
                interrupt.disarm();
                return Ok(answer);
            }
            job::Started::Lacks { what, job: unfinished, turn: its_turn, rights: had } => {
                interrupt.disarm();
                (job, turn) = (*unfinished, its_turn);
                rights = acquire_more(core, &session, what, had, &track, deadline).await?;
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
            // Whoever never waits still takes what is free.
            biased;
            turn = &mut turn => return Ok(session.tidied(turn)),
            () = deadline.reached() => return Err(errors::session_busy()),
            () = track.cancel.cancelled() => return Err(track.cancelled()),
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
        return Ok(Rights { file: None, floor: None, seats: Vec::new(), permit: None });
    }
    core.file.refuse_inside_lease(track.asker)?;
    let permit = admit(core, track, deadline).await?;
    let floor = step_on_floor(core, core.floor.beside(), track, deadline).await?;
    if request.read_only || session.identity.read_only {
        core.must_exist()?;
    }
    let need = if session.identity.reads_wait { Need::ReadNow } else { Need::Read };
    let file = File::enter(core, need, deadline, track).await?;
    track.reads_copy(!file.keeps_file());
    Ok(Rights { file: Some(file), floor: Some(floor), seats: Vec::new(), permit: Some(permit) })
}

/// Waits for a place among those that run.
pub(crate) async fn admit(core: &Arc<Core>, track: &Track, deadline: Deadline) -> Result<Permit, ServiceError> {
    let entry = core.admission.enter(track.priority).map_err(|full| core.queue_full(full.depth))?;
    let mut waiting = match entry {
        Entry::Granted(permit) => return Ok(permit),
        Entry::Queued(waiting) => waiting,
    };
    track.wait(Phase::Queued, core.line(core.before_queued(waiting.counter())));
    let ahead = core.before_queued(waiting.counter());
    core.turn(waiting.granted(), deadline, track, ahead).await?.ok_or_else(errors::reconnect)
}

/// Waits for a place on the floor.
pub(crate) async fn step_on_floor(
    core: &Arc<Core>,
    place: impl Future<Output = OnFloor>,
    track: &Track,
    deadline: Deadline,
) -> Result<OnFloor, ServiceError> {
    let mut place = std::pin::pin!(place);
    if let Some(place) = place.as_mut().now_or_never() {
        return Ok(place);
    }
    let waiter = core.waiters.join();
    track.wait(Phase::Queued, core.line(core.before_admitted(waiter.counter())));
    core.turn(place, deadline, track, core.before_admitted(waiter.counter())).await
}

async fn acquire_more(
    core: &Arc<Core>,
    session: &Arc<BrokerSession>,
    what: Lacks,
    had: Rights,
    track: &Track,
    deadline: Deadline,
) -> Result<Rights, ServiceError> {
    match what {
        Lacks::FileForWriting => {
            // Ours must go first: the file is attached anew. So must the places, which others need who only read.
            drop(had);
            loop {
                drop(File::enter(core, Need::Write, deadline, track).await?);
                let permit = admit(core, track, deadline).await?;
                let floor = step_on_floor(core, core.floor.beside(), track, deadline).await?;
                // Not waited for with a place in hand: whoever is inside may need one to come out.
                if let Some(file) = core.file.try_enter(Need::Write)? {
                    track.reads_copy(false);
                    return Ok(Rights {
                        file: Some(file),
                        floor: Some(floor),
                        seats: Vec::new(),
                        permit: Some(permit),
                    });
                }
            }
        }
        Lacks::Seats(which) if had.permit.is_none() => {
            // A transaction has passed every queue, and keeps what it has.
            let seats = sit_down(core, session, which, track, deadline).await?;
            Ok(Rights { seats, ..had })
        }
        Lacks::Seats(which) => {
            // Nothing is kept meanwhile: whoever sits needs a place, and may need the file.
            drop(had);
            loop {
                drop(File::enter(core, Need::Write, deadline, track).await?);
                let seats = sit_down(core, session, which, track, deadline).await?;
                let permit = admit(core, track, deadline).await?;
                let floor = step_on_floor(core, core.floor.beside(), track, deadline).await?;
                if let Some(file) = core.file.try_enter(Need::Write)? {
                    track.reads_copy(false);
                    return Ok(Rights { file: Some(file), floor: Some(floor), seats, permit: Some(permit) });
                }
            }
        }
        Lacks::FileFromAnother => {
            File::wait_for_another(core, deadline, track).await?;
            Ok(had)
        }
        Lacks::DatabaseForItself => {
            drop(had.floor);
            let floor = step_on_floor(core, core.floor.alone(), track, deadline).await?;
            Ok(Rights { floor: Some(floor), ..had })
        }
    }
}

/// Waits until no other session writes, or rearranges what is there, or neither.
async fn sit_down(
    core: &Arc<Core>,
    session: &Arc<BrokerSession>,
    which: Seats,
    track: &Track,
    deadline: Deadline,
) -> Result<Vec<Seat>, ServiceError> {
    let mut seats = Vec::with_capacity(1);
    for one in AllSeats::of(which) {
        seats.push(sit_down_in(core, session, *one, track, deadline).await?);
    }
    Ok(seats)
}

async fn sit_down_in(
    core: &Arc<Core>,
    session: &Arc<BrokerSession>,
    one: fn(&AllSeats) -> &OneSeat,
    track: &Track,
    deadline: Deadline,
) -> Result<Seat, ServiceError> {
    let mut seat = std::pin::pin!(one(&core.seats).take(session));
    if let Some(seat) = seat.as_mut().now_or_never() {
        return Ok(seat);
    }
    let waiter = one(&core.seats).join();
    let (ahead, before) = (core.before_admitted(waiter.counter()), core.before_admitted(waiter.counter()));
    let weak = Arc::downgrade(core);
    let line = move || Line { ahead: ahead(), holder: weak.upgrade().and_then(|core| one(&core.seats).holder()) };
    track.wait(Phase::Queued, line);
    // Transactions that are idle for too long are ended at the next look.
    core.look_now.notify_one();
    // Who sits there, before whoever else takes long.
    core.turn(seat, deadline, track, before).await.map_err(|error| match one(&core.seats).holder() {
        Some(holder) => error.held_by(Some(holder)),
        None => error,
    })
}

/// What the prepared statement still needs, given what it has.
pub(crate) fn lacks(prepared: &Prepared, rights: &mut Rights, read_only: bool) -> Result<Option<Lacks>, EngineError> {
    use dbmux_engine::StatementKind::{Exclusive, Read};
    if prepared.kind == Read || prepared.transaction_control || read_only {
        return Ok(None);
    }
    // What changes the session only is done beside a copy, too; the engine has the last word.
    let beside_copy = !prepared.modifies && rights.file.as_ref().is_some_and(|file| !file.keeps_file());
    if !beside_copy && rights.file.as_mut().is_some_and(|file| !file.may_write()) {
        return Ok(Some(Lacks::FileForWriting));
    }
    if prepared.kind == Exclusive && rights.floor.as_ref().is_some_and(|floor| !floor.alone()) {
        return Ok(Some(Lacks::DatabaseForItself));
    }
    Ok(None)
}

/// The answer of a statement that answers nothing.
fn done() -> Answer {
    Answer {
        kind: StatementKind::Write,
        shape: ResultShape::Nothing,
        schema: Arc::new(Schema::empty()),
        batches: Box::pin(futures::stream::empty()),
        as_of: None,
        notices: Vec::new(),
    }
}

impl BrokerSession {
    /// Lets nothing new begin while the broker leaves.
    fn begin_statement(&self, core: &Core) -> Result<(), ServiceError> {
        let mut kept = self.kept.lock();
        kept.last_active = std::time::Instant::now();
        if core.is_draining() && !kept.state.in_transaction && kept.ended.is_none() {
            return Err(errors::reconnect());
        }
        kept.statements += 1;
        Ok(())
    }

    /// Whether the statement asks for what has happened already: the end of a transaction that was ended by us.
    fn settles(&self, request: &StatementRequest) -> Result<bool, ServiceError> {
        let mut kept = self.kept.lock();
        if kept.closed {
            return Err(errors::session_lost());
        }
        if kept.ended.is_none() {
            return Ok(false);
        }
        match Ended::judge(&mut kept.ended, &self.text(request)) {
            Verdict::GoesOn => Ok(false),
            Verdict::Done => Ok(true),
            Verdict::Refused(why) => Err(why),
        }
    }

    fn tidied(&self, mut turn: Turn) -> Turn {
        for prepared in self.forgotten.lock().drain(..) {
            turn.forget(prepared);
        }
        turn
    }

    fn may_prepare(&self, sql: &str) -> Result<(), ServiceError> {
        let mut kept = self.kept.lock();
        if kept.closed {
            return Err(errors::session_lost());
        }
        match Ended::judge_prepared(&mut kept.ended, sql) {
            Verdict::Refused(why) => Err(why),
            Verdict::GoesOn | Verdict::Done => Ok(()),
        }
    }

    pub(super) async fn prepare_only(&self, sql: &str) -> Result<PreparedStatement, ServiceError> {
        let (Some(core), Some(me)) = (self.core.upgrade(), self.me.upgrade()) else { return Err(errors::reconnect()) };
        let request = StatementRequest { sql: sql.to_owned(), ..StatementRequest::default() };
        let registered = Registered::new(&me, &request, core.options.max_inflight)?;
        self.begin_statement(&core)?;
        let deadline = registered.deadline(&request);
        let track = Arc::clone(&registered.track);
        let mut turn = take_turn(&me, &track, deadline).await?;
        me.may_prepare(sql)?;
        let mut rights = acquire(&core, &me, &request, &track, deadline).await?;
        let from_snapshot = rights.file.as_ref().is_some_and(|file| !file.keeps_file()) || me.transaction_reads_copy();
        let text: Arc<str> = sql.into();
        let prepared = loop {
            let (text, me) = (Arc::clone(&text), Arc::clone(&me));
            let tried = tokio::task::spawn_blocking(move || {
                let prepared = turn.prepare(&text);
                // To find what a text names, the engine looks wherever that may be. Noted here: nobody may wait for it any more.
                let state = turn.state();
                me.kept.lock().is_now(state);
                (turn, rights, prepared)
            });
            let prepared;
            (turn, rights, prepared) = tried.await.map_err(|error| errors::internal(error.to_string()))?;
            match prepared {
                // What its tables are is read from the file, beside which a process may be at work.
                Err(EngineError::Locked { .. }) => File::wait_for_another(&core, deadline, &track).await?,
                prepared => break prepared.map_err(|error| core.engine_error(error))?,
            }
        };
        drop((turn, rights, registered));
        let insert = core.engine.insert_shape(sql);
        let known = Known { prepared: prepared.clone(), text, insert };
        self.prepared.lock().insert(prepared.id, known);
        Ok(PreparedStatement {
            id: prepared.id,
            kind: prepared.kind,
            shape: prepared.shape,
            schema: prepared.schema,
            parameters: prepared.parameters,
            from_snapshot,
            foretold: core.engine.foretells_columns(),
        })
    }
}
