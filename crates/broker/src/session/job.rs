//! A statement in the engine, on a blocking thread, and its rows on their way out.
//!
//! The thread owns the engine session, the file and the place in the pool for as long as the statement lives, and gives
//! them back in that order's reverse before the client can know that it has ended. Rows go through a channel of two
//! batches: a client that does not read holds up its own statement and nobody's memory.

use std::{sync::Arc, time::Duration};

use arrow::array::RecordBatch;
use dbmux_engine::{
    Access, Answer, EngineError, EngineSession, ErrorCode, Prepared, ResultShape, ServiceError, StatementKind,
    StatementRequest,
};
use tokio::sync::oneshot;

use super::{
    BrokerSession, Registered,
    rows::{self, Head},
    run::{Lacks, Rights, Turn, lacks},
};
use crate::{
    core::Core,
    deadline::Deadline,
    errors,
    file::FileUse,
    track::{Phase, Track},
};

/// A first batch with fewer rows than this is likely the whole answer, which then goes out in one piece.
const SMALL: usize = 2048;
/// The longest pause between two tries of a statement that met a conflict.
const CONFLICT_PAUSE: Duration = Duration::from_millis(20);

/// A statement and how far it is.
pub(crate) struct Job {
    registered: Registered,
    request: StatementRequest,
    deadline: Deadline,
    /// The texts, once they are known, and how many of them are done.
    texts: Option<Vec<String>>,
    done: usize,
}

/// What became of a start.
pub(crate) enum Started {
    Answered(Answer),
    /// It did nothing yet, and needs more.
    Lacks {
        what: Lacks,
        job: Box<Job>,
        turn: Turn,
        rights: Rights,
    },
}

type Reply = oneshot::Sender<Result<Started, ServiceError>>;

/// Interrupts a statement whose client has gone away.
pub(crate) struct InterruptOnDrop {
    session: Arc<BrokerSession>,
    id: u64,
    armed: bool,
}

impl InterruptOnDrop {
    pub(crate) fn new(session: &Arc<BrokerSession>, id: u64) -> Self {
        Self { session: Arc::clone(session), id, armed: true }
    }

    pub(crate) fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        if self.armed {
            if let Some(track) = self.session.tracks.lock().get(&self.id) {
                track.cancel.cancel();
            }
            self.session.running.interrupt(self.id);
        }
    }
}

impl Job {
    pub(crate) fn new(registered: Registered, request: StatementRequest, deadline: Deadline) -> Self {
        Self { registered, request, deadline, texts: None, done: 0 }
    }
}

/// Runs the job on a blocking thread until its answer begins.
pub(crate) async fn start(core: &Arc<Core>, job: Job, turn: Turn, rights: Rights) -> Result<Started, ServiceError> {
    let (reply, answer) = oneshot::channel();
    let core = Arc::clone(core);
    tokio::task::spawn_blocking(move || Thread { core, job, turn, rights, reply: Some(reply) }.run());
    answer.await.unwrap_or_else(|_| Err(errors::internal("the statement's thread ended without an answer")))
}

struct Thread {
    core: Arc<Core>,
    job: Job,
    turn: Turn,
    rights: Rights,
    reply: Option<Reply>,
}

/// How a thread's work ends.
enum End {
    Lacks(Lacks),
    /// The whole answer, in one piece.
    Whole(Head, Vec<RecordBatch>),
    /// The answer has begun, and its rows are all sent, or it failed on the way.
    Streamed(rows::Sender, Result<(), ServiceError>),
}

impl Thread {
    fn run(mut self) {
        let track = Arc::clone(&self.job.registered.track);
        let running = self.job.registered.session.running.clone();
        track.enter(Phase::Running);
        running.begin(track.id);
        let outcome = if track.cancel.is_cancelled() { Err(track.cancelled()) } else { self.advance() };
        running.end();
        if let Ok(End::Lacks(what)) = outcome {
            let Self { job, turn, rights, reply, .. } = self;
            send(reply, Ok(Started::Lacks { what, job: Box::new(job), turn, rights }));
            return;
        }
        let reply = self.settle();
        match outcome {
            Err(error) => send(reply, Err(error)),
            Ok(End::Whole(head, batches)) => send(reply, Ok(Started::Answered(rows::whole(head, batches)))),
            Ok(End::Streamed(sender, outcome)) => sender.end(outcome),
            Ok(End::Lacks(_)) => {}
        }
    }

    /// Gives everything back, before the client can know that the statement has ended.
    fn settle(self) -> Option<Reply> {
        let Self { job, turn, mut rights, reply, .. } = self;
        {
            let state = turn.state();
            let mut kept = job.registered.session.kept.lock();
            match (state.in_transaction, &kept.file) {
                (true, None) => {
                    // It may write from now on, unless the file is about to be copied: then it only reads.
                    let read_only = job.registered.session.identity.read_only || job.request.read_only;
                    kept.file = rights.file.take();
                    if let Some(file) = kept.file.as_mut().filter(|_| !read_only) {
                        file.may_write();
                    }
                }
                (true, Some(_)) => {}
                (false, _) => kept.file = None,
            }
            kept.seats.append(&mut rights.seats);
            if !state.in_transaction {
                kept.seats.clear();
            }
            kept.is_now(state);
        }
        drop((turn, rights, job));
        reply
    }

    /// Runs the statements up to the last, whose answer it gives.
    fn advance(&mut self) -> Result<End, ServiceError> {
        let texts = self.texts()?;
        while self.job.done + 1 < texts.len() {
            if let Some(end) = self.next(&texts[self.job.done], false)? {
                return Ok(end);
            }
            self.job.done += 1;
        }
        let last = texts.last().map(String::as_str).unwrap_or_default();
        match self.next(last, true)? {
            Some(end) => Ok(end),
            None => Err(errors::internal("the last statement gave no answer")),
        }
    }

    fn texts(&mut self) -> Result<Vec<String>, ServiceError> {
        if let Some(texts) = &self.job.texts {
            return Ok(texts.clone());
        }
        let texts = match self.job.request.prepared {
            Some(_) => vec![String::new()],
            None => self.turn.split(&self.job.request.sql).map_err(|error| self.error(error))?,
        };
        if texts.is_empty() {
            return Err(ServiceError::new(ErrorCode::InvalidArgument, "there is no statement in this text"));
        }
        if texts.len() > 1 && self.job.request.parameters.is_some() {
            let text = "parameters belong to one statement, and this text has several";
            return Err(ServiceError::new(ErrorCode::InvalidArgument, text));
        }
        self.job.texts = Some(texts.clone());
        Ok(texts)
    }

    /// Runs one statement; `None`: it is done, and was not the last.
    fn next(&mut self, text: &str, last: bool) -> Result<Option<End>, ServiceError> {
        // Asked before: a COMMIT that fails has ended its transaction.
        let in_transaction = self.turn.state().in_transaction;
        loop {
            let tried = self.once(text, last);
            match tried {
                Ok(end) => return Ok(end),
                Err(EngineError::Conflict { .. }) if !in_transaction && self.may_retry() => {
                    self.core.counters.conflict_retried();
                    std::thread::sleep(CONFLICT_PAUSE.mul_f64(rand::random::<f64>()));
                }
                Err(error) => return Err(self.error(error)),
            }
        }
    }

    /// A conflict of an autocommit statement is the broker's to redo, as long as its client waits.
    fn may_retry(&self) -> bool {
        let track = &self.job.registered.track;
        !self.job.deadline.passed() && !track.cancel.is_cancelled()
    }

    fn once(&mut self, text: &str, last: bool) -> Result<Option<End>, EngineError> {
        let kept = match self.job.request.prepared {
            Some(id) => Some(self.job.registered.session.prepared(id).ok_or_else(|| EngineError::Sql {
                message: "there is no such prepared statement".to_owned(),
                sqlstate: "26000",
            })?),
            None => None,
        };
        let (prepared, forget) = match kept {
            Some(prepared) => (prepared, false),
            None => match self.turn.prepare(text) {
                // What its tables are is read from the file, beside which a process may be at work.
                Err(EngineError::Locked { .. }) => return Ok(Some(End::Lacks(Lacks::FileFromAnother))),
                prepared => (prepared?, true),
            },
        };
        let id = prepared.id;
        let outcome = self.execute(prepared, last);
        if forget {
            self.turn.forget(id);
        }
        outcome
    }

    fn execute(&mut self, prepared: Prepared, last: bool) -> Result<Option<End>, EngineError> {
        self.job.registered.track.is(prepared.kind);
        let read_only = self.job.request.read_only;
        if let Some(what) = self.lacks(&prepared, read_only)? {
            return Ok(Some(End::Lacks(what)));
        }
        let Self { core, job, turn, reply, rights } = self;
        let on_copy =
            !read_only && !turn.state().in_transaction && rights.file.as_ref().is_some_and(|file| !file.keeps_file());
        let mut rows = match turn.execute(prepared.id, job.request.parameters.as_ref(), read_only) {
            // It writes after all, and has done nothing: it gets the file.
            Err(EngineError::ReadOnly { .. }) if on_copy => {
                return Ok(Some(End::Lacks(Lacks::FileForWriting)));
            }
            // A foreign process is at work in the file, beside which nothing has been done.
            Err(EngineError::Locked { .. }) => return Ok(Some(End::Lacks(Lacks::FileFromAnother))),
            begun => begun?,
        };
        // Not what was prepared: parameters without a type get theirs now, and the columns with them.
        let head = Head::new(&prepared, rows.as_ref());
        if head.is_from_no_copy() {
            come_in(rights, &job.registered.track);
        }
        let mut first = Vec::new();
        let streams = last && head.shape == ResultShape::Rows;
        while let Some(batch) = rows.next()? {
            let small = first.is_empty() && batch.num_rows() < SMALL;
            if last {
                first.push(batch);
            }
            if streams && !small {
                let (sender, answer) = rows::begin(head.clone(), &job.registered);
                send(reply.take(), Ok(Started::Answered(answer)));
                let sent = sender.send(first, rows.as_mut());
                drop(rows);
                let sent = sent.and_then(|()| acknowledge(core, turn.as_ref(), head.kind));
                return Ok(Some(End::Streamed(sender, sent.map_err(|error| translate(core, job, error)))));
            }
        }
        drop(rows);
        acknowledge(core, turn.as_ref(), head.kind)?;
        Ok(last.then_some(End::Whole(head, first)))
    }

    /// What it still needs before it runs.
    fn lacks(&mut self, prepared: &Prepared, read_only: bool) -> Result<Option<Lacks>, EngineError> {
        if self.turn.state().in_transaction {
            self.check_transaction(prepared, read_only)?;
        } else {
            come_in(&mut self.rights, &self.job.registered.track);
            if let Some(what) = lacks(prepared, &mut self.rights, read_only)? {
                return Ok(Some(what));
            }
        }
        Ok(self.lacks_seats(prepared, read_only).then_some(Lacks::Seats(prepared.seats)))
    }

    /// It writes, where one session writes at a time, and has not sat down yet.
    fn lacks_seats(&self, prepared: &Prepared, read_only: bool) -> bool {
        // A BEGIN may take the engine's own lock at once.
        let writes = prepared.kind != StatementKind::Read && prepared.modifies && !read_only;
        writes
            && self.core.engine.has_one_writer()
            && self.rights.seats.is_empty()
            && self.job.registered.session.kept.lock().seats.is_empty()
    }

    /// Refuses to write in a transaction that began while the file was about to be copied: what it wrote would be in the
    /// file, and the copy is of before. One that began on the copy is refused by the engine.
    fn check_transaction(&mut self, prepared: &Prepared, read_only: bool) -> Result<(), EngineError> {
        if prepared.kind == StatementKind::Read || prepared.transaction_control || read_only {
            return Ok(());
        }
        let mut kept = self.job.registered.session.kept.lock();
        // BEGIN may stand in the same text.
        let mut file = kept.file.as_mut().or(self.rights.file.as_mut());
        if let Some(file) = file.as_mut().filter(|_| self.turn.state().in_file) {
            file.comes_in();
        }
        let Some(file) = file.filter(|file| file.keeps_file() && file.access == Access::ReadWrite) else {
            return Ok(());
        };
        if file.may_write() {
            return Ok(());
        }
        Err(EngineError::ReadOnly { message: "the transaction began while the file was copied".to_owned() })
    }

    fn error(&self, error: EngineError) -> ServiceError {
        let began_reading = matches!(error, EngineError::ReadOnly { .. })
            && !self.job.request.read_only
            && !self.job.registered.session.identity.read_only
            && self.turn.state().in_transaction
            && self.reads_only();
        if began_reading { errors::read_only_transaction() } else { translate(&self.core, &self.job, error) }
    }
}

impl Thread {
    /// What it uses can only be read, now: a copy, or a file that a foreign process reads.
    fn reads_only(&self) -> bool {
        let kept = self.job.registered.session.kept.lock();
        let file = kept.file.as_ref().or(self.rights.file.as_ref());
        file.is_some_and(|file| !file.keeps_file() || file.access == Access::ReadOnly)
            || self.core.file.is_held_or_copied()
    }
}

/// A statement was let in beside a copy: where the file has come back since, it may read that one, and keeps it as any other
/// until it has ended.
fn come_in(rights: &mut Rights, track: &Track) {
    if rights.file.as_mut().is_some_and(FileUse::comes_in_if_attached) {
        track.reads_copy(false);
    }
}

/// A write counts as done only while the path still names the attached file.
fn acknowledge(core: &Core, session: &dyn EngineSession, kind: StatementKind) -> Result<(), EngineError> {
    if kind == StatementKind::Read {
        return Ok(());
    }
    match core.file.verify(false) {
        // Nothing is committed yet: its COMMIT looks once more.
        Err(EngineError::Unverified { .. }) if session.state().in_transaction => Ok(()),
        verified => verified,
    }
}

fn translate(core: &Core, job: &Job, error: EngineError) -> ServiceError {
    if matches!(error, EngineError::Interrupted) && job.registered.track.cancel.is_cancelled() {
        return job.registered.track.cancelled();
    }
    core.engine_error(error)
}

fn send(reply: Option<Reply>, answer: Result<Started, ServiceError>) {
    if let Some(reply) = reply {
        // Whoever asked may be gone; then everything comes back by its own drop.
        let _ = reply.send(answer);
    }
}
