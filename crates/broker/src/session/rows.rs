//! A statement's rows on their way out.
//!
//! They go through a channel of two batches: a client that does not read holds up its own statement and nobody's memory.
//! What ended a result early is told at its end, and a result that was cut off never looks like a whole one.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::SystemTime,
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use dbmux_engine::{Answer, EngineError, Prepared, ResultShape, Rows, ServiceError, StatementKind};
use futures::Stream;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{Registered, Running};
use crate::{
    errors,
    track::{Phase, Track},
};

/// Batches that wait between the engine and the wire.
const BATCHES_AHEAD: usize = 2;

/// What is known of an answer before its rows.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) kind: StatementKind,
    pub(super) shape: ResultShape,
    pub(super) schema: SchemaRef,
    /// As of when the copy is true that it is from.
    as_of: Option<SystemTime>,
}

impl Head {
    pub(super) fn new(prepared: &Prepared, rows: &dyn Rows) -> Self {
        Self { kind: prepared.kind, shape: prepared.shape, schema: rows.schema(), as_of: rows.as_of() }
    }

    /// Its rows are from the file, or from neither.
    pub(super) fn is_from_no_copy(&self) -> bool {
        self.shape == ResultShape::Rows && self.as_of.is_none()
    }
}

type Failure = Arc<Mutex<Option<ServiceError>>>;

/// The engine's end of a result.
pub(super) struct Sender {
    batches: mpsc::Sender<RecordBatch>,
    failure: Failure,
    track: Arc<Track>,
}

/// Begins a result: what the engine writes to, and the answer that the client reads from.
pub(super) fn begin(head: Head, registered: &Registered) -> (Sender, Answer) {
    let (batches, receiver) = mpsc::channel(BATCHES_AHEAD);
    // So it is if the thread ends without a word.
    let failure = errors::internal("the statement's thread ended before its result did");
    let failure = Arc::new(Mutex::new(Some(failure)));
    let Registered { session, track } = registered;
    track.was_read();
    track.enter(Phase::Sending);
    let rows = RowStream {
        receiver,
        failure: Arc::clone(&failure),
        track: Arc::clone(track),
        running: session.running.clone(),
        over: false,
    };
    let sender = Sender { batches, failure, track: Arc::clone(track) };
    (sender, answer(head, Box::pin(rows)))
}

impl Sender {
    /// Sends what there is, and what is still to come.
    pub(super) fn send(&self, first: Vec<RecordBatch>, rows: &mut dyn Rows) -> Result<(), EngineError> {
        for batch in first {
            self.send_batch(batch)?;
        }
        while let Some(batch) = rows.next()? {
            self.send_batch(batch)?;
        }
        Ok(())
    }

    /// Waits for the client to take a batch; a cancel ends the wait.
    fn send_batch(&self, batch: RecordBatch) -> Result<(), EngineError> {
        let Err(mpsc::error::TrySendError::Full(batch)) = self.batches.try_send(batch) else {
            return if self.batches.is_closed() { Err(EngineError::Interrupted) } else { Ok(()) };
        };
        tokio::runtime::Handle::current().block_on(async {
            tokio::select! {
                sent = self.batches.send(batch) => sent.map_err(|_| EngineError::Interrupted),
                () = self.track.cancel.cancelled() => Err(EngineError::Interrupted),
            }
        })
    }

    /// Says how it ended; the client hears of it after the last batch.
    pub(super) fn end(self, outcome: Result<(), ServiceError>) {
        *self.failure.lock() = outcome.err();
    }
}

/// An answer that is there as a whole.
pub(super) fn whole(head: Head, batches: Vec<RecordBatch>) -> Answer {
    answer(head, Box::pin(futures::stream::iter(batches.into_iter().map(Ok))))
}

fn answer(head: Head, batches: dbmux_engine::BatchStream) -> Answer {
    let Head { kind, shape, schema, as_of } = head;
    Answer { kind, shape, schema, batches, as_of: as_of.map(errors::rfc3339), notices: Vec::new() }
}

/// The rows, as the wire takes them. Dropped before the end, it interrupts the statement.
struct RowStream {
    receiver: mpsc::Receiver<RecordBatch>,
    failure: Failure,
    track: Arc<Track>,
    running: Running,
    over: bool,
}

impl Stream for RowStream {
    type Item = Result<RecordBatch, ServiceError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let next = std::task::ready!(self.receiver.poll_recv(context));
        self.track.was_read();
        Poll::Ready(match next {
            Some(batch) => Some(Ok(batch)),
            None => {
                self.over = true;
                self.failure.lock().take().map(Err)
            }
        })
    }
}

impl Drop for RowStream {
    fn drop(&mut self) {
        if !self.over {
            self.track.cancel.cancel();
            self.running.interrupt(self.track.id);
        }
    }
}
