//! The write lane: statements of one shape that wait at the same time are committed together.
//!
//! Merged only where that cannot be seen: plain `INSERT … VALUES` of constants or parameters, or what comes to the same where
//! statements are no SQL (the engine says which), in autocommit, from sessions without state of their own. Each is
//! acknowledged by itself, after the sync; a batch that fails is halved until only the guilty statement fails, in the words
//! that it would have failed with alone.
//!
//! A lane is a task for one shape, and a thread while there is work. While it commits one batch, the next one gathers.

mod batch;
mod claim;
mod queue;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dbmux_engine::{
    Answer, EngineError, EngineSession, InsertShape, Parameters, ResultShape, ServiceError, SessionOptions,
    StatementKind, StatementRequest, count_batch, count_schema,
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{
    core::Core,
    deadline::Deadline,
    errors,
    file::{File, FileUse, Need},
    floor::OnFloor,
    session::{BrokerSession, Registered, Running, step_on_floor},
    track::{Phase, Track},
};
use claim::{Batch, Claim, Wait};
use queue::{Pace, Queue};

/// Statements in one batch, at most.
const LARGEST_BATCH: usize = 256;
/// How long a lane stays without work.
const IDLE: Duration = Duration::from_secs(10);

/// A statement that waits in a lane.
pub(crate) struct Item {
    pub(crate) sql: Arc<str>,
    pub(crate) parameters: Option<Parameters>,
    pub(crate) done: oneshot::Sender<Result<Outcome, ServiceError>>,
    pub(crate) track: Arc<Track>,
    claim: Arc<Claim>,
    /// Both are held until the statement is acknowledged.
    _file: FileUse,
    _floor: OnFloor,
}

/// What became of an item that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has changed so many rows.
    Done(i64),
    /// Another transaction is at the same row: nothing has happened.
    Conflict,
    /// Its time was over before the lane had come to it: nothing has happened.
    OutOfTime,
    /// Nothing has happened, because everybody in its batch had given up.
    GivenUp,
}

/// All lanes of a broker.
pub(crate) struct Lanes {
    lanes: Mutex<HashMap<InsertShape, Arc<Queue>>>,
    waiting: Waiting,
}

/// How many inserts are on their way: the lanes' queues are bounded together.
#[derive(Default)]
struct Waiting(AtomicUsize);

impl Waiting {
    /// Answers with how many there are when that is too many.
    fn enter(&self, limit: usize) -> Result<Counted<'_>, usize> {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(self);
        // One that is not kept waiting by others is no queue.
        if before > 0 && before >= limit { Err(before) } else { Ok(counted) }
    }
}

/// Counted until it is dropped.
struct Counted<'a>(&'a Waiting);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lanes {
    pub(crate) fn new() -> Self {
        Self { lanes: Mutex::default(), waiting: Waiting::default() }
    }

    /// The shape of a statement that may go into a lane.
    pub(crate) fn accepts(
        &self,
        core: &Core,
        session: &BrokerSession,
        track: &Track,
        request: &StatementRequest,
    ) -> Option<InsertShape> {
        if core.options.serial || request.read_only || session.identity.read_only {
            return None;
        }
        // What is under way in the session may be a BEGIN.
        if !session.is_plain() || session.is_busy_beside(track) {
            return None;
        }
        let shape = match request.prepared {
            Some(id) => session.prepared_insert(id).map(|(shape, _)| shape),
            None => core.engine.insert_shape(&request.sql),
        };
        // Of many rows a statement with values runs for each, as one statement; of none not at all.
        let rows = request.parameters.as_ref().filter(|rows| rows.num_columns() > 0);
        let one = rows.is_none_or(|rows| rows.num_rows() == 1);
        shape.filter(|shape| shape.width == 0 || one)
    }

    /// Commits a statement, together with whoever else waits. `None`: it met a conflict, or the lane did not come to it in
    /// its time; nothing has happened, and it is to be run by itself. Waiting for the conflict here would keep the lane;
    /// and that a lane takes its time to begin is nothing that anybody has said to wait for.
    pub(crate) async fn insert(
        &self,
        core: &Arc<Core>,
        shape: InsertShape,
        request: &StatementRequest,
        registered: &Registered,
        deadline: Deadline,
    ) -> Result<Option<Answer>, ServiceError> {
        let track = &registered.track;
        track.goes_into_a_lane(true);
        let _place = self.waiting.enter(core.options.queue).map_err(|depth| core.queue_full(depth))?;
        let floor = step_on_floor(core, core.floor.beside(), track, deadline).await?;
        let file = File::enter(core, Need::Write, deadline, track).await?;
        let sql = match request.prepared.and_then(|id| registered.session.prepared_insert(id)) {
            Some((_, text)) => text,
            None => request.sql.as_str().into(),
        };
        let (done, outcome) = oneshot::channel();
        let claim = Arc::<Claim>::default();
        let item = Item {
            sql,
            parameters: request.parameters.clone(),
            done,
            track: Arc::clone(track),
            claim: Arc::clone(&claim),
            _file: file,
            _floor: floor,
        };
        track.is(StatementKind::Write);
        self.put(core, shape, item);
        match wait(outcome, &claim, deadline, track).await? {
            Outcome::Done(count) => Ok(Some(changed(count))),
            Outcome::GivenUp => Err(core.engine_error(EngineError::Interrupted)),
            alone @ (Outcome::Conflict | Outcome::OutOfTime) => {
                if alone == Outcome::Conflict {
                    core.counters.conflict_retried();
                }
                track.goes_into_a_lane(false);
                Ok(None)
            }
        }
    }

    fn put(&self, core: &Arc<Core>, shape: InsertShape, item: Item) {
        let mut lanes = self.lanes.lock();
        let item = match lanes.get(&shape) {
            Some(queue) => match queue.put(item) {
                None => return,
                Some(item) => item,
            },
            None => item,
        };
        let queue = Arc::new(Queue::new());
        // It is open here, so this cannot fail.
        let _ = queue.put(item);
        lanes.insert(shape.clone(), Arc::clone(&queue));
        drop(lanes);
        tokio::spawn(work(Arc::clone(core), shape, queue));
    }

    /// Closes a lane, unless something has just come.
    fn close_if_empty(&self, shape: &InsertShape, queue: &Queue) -> bool {
        let mut lanes = self.lanes.lock();
        let closed = queue.close_if_empty();
        if closed {
            lanes.remove(shape);
        }
        closed
    }
}

async fn wait(
    mut outcome: oneshot::Receiver<Result<Outcome, ServiceError>>,
    claim: &Claim,
    deadline: Deadline,
    track: &Track,
) -> Result<Outcome, ServiceError> {
    let mut wait = Wait::new(claim);
    let lost = |_| Err(errors::internal("the lane ended without an answer"));
    let gave_up = tokio::select! {
        biased;
        outcome = &mut outcome => {
            wait.ended();
            return outcome.unwrap_or_else(lost);
        }
        () = deadline.reached() => Ok(Outcome::OutOfTime),
        () = track.cancel.cancelled() => Err(track.cancelled()),
    };
    if claim.leave() {
        wait.ended();
        return gave_up;
    }
    // Its batch runs already: only its end tells what has happened, and the time that this takes is not limited.
    tokio::select! {
        biased;
        outcome = &mut outcome => {
            wait.ended();
            return outcome.unwrap_or_else(lost);
        }
        () = track.cancel.cancelled() => wait.leave(),
    };
    match outcome.await.unwrap_or_else(lost)? {
        Outcome::GivenUp => Err(track.cancelled()),
        outcome => Ok(outcome),
    }
}

async fn work(core: Arc<Core>, shape: InsertShape, queue: Arc<Queue>) {
    let options = SessionOptions::default();
    let engine = Arc::clone(&core.engine);
    let opened = tokio::task::spawn_blocking(move || engine.open_session(&options)).await;
    let mut session = match opened {
        Ok(Ok(session)) => session,
        Ok(Err(error)) => return refuse(&core, &shape, &queue, core.engine_error(error)),
        Err(error) => return refuse(&core, &shape, &queue, errors::internal(error.to_string())),
    };
    let running = Running::new(session.interrupter());
    loop {
        if tokio::time::timeout(IDLE, queue.arrival()).await.is_err() {
            if core.lanes.close_if_empty(&shape, &queue) {
                return;
            }
            continue;
        }
        let (core, shape, queue, running) = (Arc::clone(&core), shape.clone(), Arc::clone(&queue), running.clone());
        let work = move || commit_while_there_is_work(&core, &shape, session, &running, &queue);
        session = match tokio::task::spawn_blocking(work).await {
            Ok(Some(session)) => session,
            Ok(None) | Err(_) => break,
        };
    }
    // The engine panicked, or did not end a transaction: its session cannot be trusted any more.
    refuse(&core, &shape, &queue, errors::internal("the engine failed in a batch"));
}

/// Batch after batch, until nobody comes for a while. Gives the session back, unless it cannot be used any more.
fn commit_while_there_is_work(
    core: &Core,
    shape: &InsertShape,
    mut session: Box<dyn EngineSession>,
    running: &Running,
    queue: &Queue,
) -> Option<Box<dyn EngineSession>> {
    let mut pace = Pace::default();
    loop {
        let items = queue.take(LARGEST_BATCH, pace);
        if items.is_empty() {
            return Some(session);
        }
        // While it waits for a transaction that writes, those who wait here may still give up.
        let seat = core.engine.has_one_writer().then(|| core.seats.writer.take_blocking());
        let together = Batch::new(running);
        let batch: Vec<_> = items.into_iter().filter(|item| together.takes(item)).collect();
        if !together.begins() {
            for item in batch {
                let _ = item.done.send(Ok(Outcome::GivenUp));
            }
            continue;
        }
        batch.iter().for_each(|item| item.track.enter(Phase::Running));
        core.counters.merged(batch.len());
        let (began, count) = (Instant::now(), batch.len());
        session = batch::commit(core, shape, session, batch, seat, &together)?;
        pace = Pace::of(count, queue.waiting(), began.elapsed());
    }
}

fn refuse(core: &Core, shape: &InsertShape, queue: &Queue, error: ServiceError) {
    core.lanes.lanes.lock().remove(shape);
    for item in queue.close() {
        let _ = item.done.send(Err(error.clone()));
    }
}

fn changed(count: i64) -> Answer {
    let batch = count_batch(count).map_err(ServiceError::from);
    Answer {
        kind: StatementKind::Write,
        shape: ResultShape::RowsChanged,
        schema: count_schema(),
        batches: Box::pin(futures::stream::iter([batch])),
        as_of: None,
        notices: Vec::new(),
    }
}
