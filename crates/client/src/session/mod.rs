//! A conversation with the broker.

mod attempt;
mod rollback;
mod slot;
mod state;

use std::{future::ready, sync::Arc, time::Duration};

use dbmux_proto::{CancelRequest, HelloReply, StatementEvent, WatchRequest};
use futures::{Stream, StreamExt, stream::BoxStream};

pub(crate) use self::{
    attempt::{Attempt, Begun, flight_trouble},
    slot::Slot,
};
use crate::{
    Answer, ClientError, Statement, Transaction,
    connect::{Deadline, Trouble},
};

/// How long a question about a statement waits for its answer.
const QUESTION: Duration = Duration::from_secs(5);

/// One conversation with the broker: transactions, temporary tables and settings are its own.
///
/// Statements of one session run one after the other. Dropped, together with its unread answers, a session that is as
/// new is kept for the next caller of [`crate::Client::session`]; any other is closed, which rolls back what is open.
pub struct Session {
    slot: Arc<Slot>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let database = &self.slot.shared.target.database;
        f.debug_struct("Session").field("database", database).finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(slot: Arc<Slot>) -> Self {
        Self { slot }
    }

    /// What the broker said of itself and of the database, when the session was opened last.
    pub fn hello(&self) -> Arc<HelloReply> {
        self.slot.hello()
    }

    /// Runs a statement; its answer arrives batch by batch.
    ///
    /// A statement that the broker never began is sent again, to another broker where that is needed. One that only
    /// reads is sent once more when the broker goes away under it: within its time, outside of a transaction, and while
    /// no row of it has been given out. Nothing else is ever sent twice.
    ///
    /// # Errors
    /// Whatever the statement ends with before its first row; [`ClientError::OutcomeUnknown`] when the broker went away
    /// while a write was on its way; [`ClientError::SessionLost`], once, when the session had state and is gone;
    /// [`ClientError::AnswerLost`] when a read may not be sent again; [`ClientError::NotAnswering`] when the statement's
    /// time is over and the broker is stopped.
    pub async fn run(&self, statement: impl Into<Statement>) -> Result<Answer, ClientError> {
        let mut attempt = Attempt::new(&self.slot, &statement.into())?;
        let begun = attempt.run().await?;
        Ok(Answer::new(begun, attempt))
    }

    /// Runs a query: the same as [`Session::run`], beside [`Session::execute`].
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn query(&self, statement: impl Into<Statement>) -> Result<Answer, ClientError> {
        self.run(statement).await
    }

    /// Runs a statement to its end. Answers with the number of rows changed, 0 where that means nothing.
    ///
    /// # Errors
    /// As [`Session::run`], and whatever the statement ends with later.
    pub async fn execute(&self, statement: impl Into<Statement>) -> Result<u64, ClientError> {
        self.run(statement).await?.changed().await
    }

    /// Begins a transaction. Dropped without a commit, it is rolled back.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn begin(&self) -> Result<Transaction<'_>, ClientError> {
        self.execute("BEGIN TRANSACTION").await?;
        Ok(Transaction::new(self))
    }

    /// Runs several statements as one transaction: commits when `work` succeeds, rolls back when it fails.
    ///
    /// # Errors
    /// Whatever `work` ends with; those of [`Transaction::commit`].
    pub async fn transaction<T>(
        &self,
        work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let transaction = self.begin().await?;
        match work(&transaction).await {
            Ok(done) => {
                transaction.commit().await?;
                Ok(done)
            }
            Err(error) => {
                // The first error is the one to tell; an unreachable broker rolls back by itself.
                let _ = transaction.rollback().await;
                Err(error)
            }
        }
    }

    /// Interrupts a statement of this session, by its [`Statement::id`]; 0: whichever there is. Tells whether there was
    /// one.
    ///
    /// # Errors
    /// When the broker cannot be reached.
    pub async fn cancel(&self, statement: u64) -> Result<bool, ClientError> {
        let Some(open) = self.slot.present() else { return Ok(false) };
        let request = CancelRequest { session: open.hello.session.clone(), statement_id: statement };
        let mut control = open.link.control();
        let reply = open.link.ask(Deadline::after(QUESTION), control.cancel(request)).await;
        Ok(reply.map_err(|trouble| self.error(trouble))?.found)
    }

    /// What becomes of a statement, by its [`Statement::id`], until it has ended: for whom it waits, its place in line,
    /// its progress. A statement that the broker does not know (yet, or any more) has no events.
    ///
    /// # Errors
    /// When the broker cannot be reached.
    pub async fn watch(
        &self,
        statement: u64,
    ) -> Result<impl Stream<Item = StatementEvent> + Send + Unpin + use<>, ClientError> {
        self.events(statement).await
    }

    pub(crate) async fn events(&self, statement: u64) -> Result<BoxStream<'static, StatementEvent>, ClientError> {
        let Some(open) = self.slot.present() else { return Ok(futures::stream::empty().boxed()) };
        let request = WatchRequest { session: open.hello.session.clone(), statement_id: statement };
        let mut control = open.link.control();
        let events = open.link.ask(Deadline::after(QUESTION), control.watch(request)).await;
        let events = events.map_err(|trouble| self.error(trouble))?;
        // A watch that breaks off has nothing more to tell; the statement itself says why.
        Ok(events.take_while(|event| ready(event.is_ok())).filter_map(|event| ready(event.ok())).boxed())
    }

    /// Rolls back, while the caller goes on.
    pub(crate) fn abandon(&self) {
        self.slot.roll_back_behind();
    }

    /// Whether a transaction may be open: a statement began one and none has ended it, or one was run of which that
    /// cannot be told. `ROLLBACK` succeeds where there is one.
    pub fn may_be_in_transaction(&self) -> bool {
        self.slot.state.lock().transaction != state::Transaction::None
    }

    fn error(&self, trouble: Trouble) -> ClientError {
        self.slot.shared.target.error(trouble)
    }
}
