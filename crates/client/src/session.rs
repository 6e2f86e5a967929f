//! A conversation with the broker, and what happens to it when the broker goes away.
//!
//! Nothing is ever sent twice that may have happened. A statement that was provably not sent, or was refused before it
//! ran, is sent again within its time. One that was lost on its way is sent again only as a *read*: the broker then
//! refuses it if it would write, and the outcome is reported as unknown.

use std::sync::Arc;

use dbmux_proto::{CancelRequest, CloseSessionRequest, ErrorCode, HelloReply, StatementEvent, WatchRequest};
use futures::{Stream, StreamExt};
use parking_lot::Mutex;

use crate::{
    Answer, ClientError, Statement, Transaction,
    client::Shared,
    connect::{Deadline, Link, Trouble},
    statement::Shape,
    value,
};

/// A session on one broker.
#[derive(Clone)]
pub(crate) struct Open {
    pub(crate) link: Link,
    pub(crate) hello: Arc<HelloReply>,
}

/// What would be lost with the session.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    in_transaction: bool,
    has_state: bool,
}

impl State {
    fn is_plain(self) -> bool {
        !self.in_transaction && !self.has_state
    }

    fn after(&mut self, shape: Shape) {
        match shape {
            Shape::Begin => self.in_transaction = true,
            Shape::End => self.in_transaction = false,
            Shape::Stateful => self.has_state = true,
            Shape::Read | Shape::Write => {}
        }
    }
}

/// One conversation with the broker: transactions, temporary tables and settings are its own.
///
/// Statements of one session run one after the other. Dropped, a session without state is kept for the next caller;
/// one with an open transaction is closed, which rolls it back.
pub struct Session {
    shared: Arc<Shared>,
    open: Mutex<Open>,
    state: Mutex<State>,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, open: Open) -> Self {
        Self { shared, open: Mutex::new(open), state: Mutex::default() }
    }

    /// What the broker said of itself and of the database.
    pub fn hello(&self) -> Arc<HelloReply> {
        Arc::clone(&self.open.lock().hello)
    }

    /// Runs a statement; its answer arrives batch by batch.
    ///
    /// # Errors
    /// Whatever the statement ends with before its first row; [`ClientError::OutcomeUnknown`] when the broker went away
    /// while a write was on its way; [`ClientError::SessionLost`], once, when the session had state and is gone.
    pub async fn run(&self, statement: impl Into<Statement>) -> Result<Answer, ClientError> {
        let statement = statement.into();
        let shape = Shape::of(&statement.sql);
        let deadline = Deadline::after(statement.wait.unwrap_or(self.shared.target.options.wait));
        let mut message = encode(&statement)?;
        let mut as_read = false;
        loop {
            let trouble = match self.send(&message).await {
                Ok(answer) => {
                    self.state.lock().after(shape);
                    return Ok(answer);
                }
                Err(trouble) => trouble,
            };
            match trouble {
                Trouble::Broker(detail) if not_begun(detail.code()) => {
                    self.reopen_or_give_up(detail.code(), deadline).await?
                }
                Trouble::Broker(detail) if as_read && detail.code() == ErrorCode::ReadOnly => {
                    return Err(self.outcome_unknown());
                }
                Trouble::Broker(detail) => return Err(ClientError::Broker(detail)),
                Trouble::Undecodable(text) => return Err(ClientError::Decode(text)),
                Trouble::NotSent => self.reopen_or_give_up(ErrorCode::SessionLost, deadline).await?,
                Trouble::Lost => {
                    let had = *self.state.lock();
                    if had.in_transaction && shape != Shape::End {
                        // Its transaction went with the broker, and so did whatever this statement did in it.
                        return Err(self.lost(deadline).await);
                    }
                    if !statement.read_only && shape != Shape::Read {
                        self.forget_state();
                        return Err(self.outcome_unknown());
                    }
                    as_read = !statement.read_only;
                    message.read_only = true;
                    self.reopen_or_give_up(ErrorCode::SessionLost, deadline).await?;
                }
            }
        }
    }

    /// Runs a query.
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

    /// Interrupts a statement of this session, by its [`Statement::id`]; 0: whichever there is. Tells whether there was
    /// one.
    ///
    /// # Errors
    /// When the broker cannot be reached.
    pub async fn cancel(&self, statement: u64) -> Result<bool, ClientError> {
        let open = self.open.lock().clone();
        let request = CancelRequest { session: open.hello.session.clone(), statement_id: statement };
        let reply = open.link.control().cancel(request).await;
        Ok(reply.map_err(|status| self.error(crate::connect::trouble(status)))?.into_inner().found)
    }

    /// What becomes of a statement, until it has ended: for whom it waits, its place in line, its progress.
    ///
    /// # Errors
    /// When the broker cannot be reached.
    pub async fn watch(
        &self,
        statement: u64,
    ) -> Result<impl Stream<Item = StatementEvent> + Send + use<>, ClientError> {
        let open = self.open.lock().clone();
        let request = WatchRequest { session: open.hello.session.clone(), statement_id: statement };
        let events = open.link.control().watch(request).await;
        let events = events.map_err(|status| self.error(crate::connect::trouble(status)))?.into_inner();
        Ok(events
            .take_while(|event| std::future::ready(event.is_ok()))
            .filter_map(|event| std::future::ready(event.ok())))
    }

    /// Lets the transaction go: the session is closed when it is dropped, and opened again when it is used.
    pub(crate) fn abandon(&self) {
        let open = self.open.lock().clone();
        self.state.lock().in_transaction = false;
        close(open);
    }

    async fn send(&self, message: &dbmux_proto::Statement) -> Result<Answer, Trouble> {
        let open = self.open.lock().clone();
        let stream = open.link.run(&open.hello.session, message).await?;
        Answer::begin(stream, self.shared.target.database.clone()).await
    }

    /// Opens the session again where nothing is lost with it; else says so, once.
    async fn reopen_or_give_up(&self, code: ErrorCode, deadline: Deadline) -> Result<(), ClientError> {
        if !self.state.lock().is_plain() {
            return Err(self.lost(deadline).await);
        }
        if code == ErrorCode::Reconnect && deadline.passed() {
            return Err(ClientError::StartTimedOut {
                database: self.shared.target.database.clone(),
                waited: deadline.began.elapsed(),
                holder: None,
            });
        }
        self.reopen(deadline).await
    }

    async fn reopen(&self, deadline: Deadline) -> Result<(), ClientError> {
        let gone = self.open.lock().clone();
        let open = self.shared.reopen(&gone, deadline).await?;
        *self.open.lock() = open;
        Ok(())
    }

    /// The session is gone, with its state. The next statement works again.
    async fn lost(&self, deadline: Deadline) -> ClientError {
        self.forget_state();
        match self.reopen(deadline).await {
            Ok(()) => ClientError::SessionLost { database: self.shared.target.database.clone() },
            Err(error) => error,
        }
    }

    fn forget_state(&self) {
        *self.state.lock() = State::default();
    }

    fn outcome_unknown(&self) -> ClientError {
        ClientError::OutcomeUnknown { database: self.shared.target.database.clone() }
    }

    fn error(&self, trouble: Trouble) -> ClientError {
        match trouble {
            Trouble::Broker(detail) => ClientError::Broker(detail),
            Trouble::Undecodable(text) => ClientError::Decode(text),
            Trouble::NotSent | Trouble::Lost => {
                ClientError::SessionLost { database: self.shared.target.database.clone() }
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let open = self.open.lock().clone();
        if self.state.lock().is_plain() {
            self.shared.keep(open);
            return;
        }
        close(open);
    }
}

/// Closes a session behind the caller's back. Without a runtime, the connection's end does.
fn close(open: Open) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            let request = CloseSessionRequest { session: open.hello.session.clone() };
            let _ = open.link.control().close_session(request).await;
        });
    }
}

/// The broker said so before it began the statement.
fn not_begun(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Reconnect | ErrorCode::SessionLost)
}

fn encode(statement: &Statement) -> Result<dbmux_proto::Statement, ClientError> {
    let batch = match &statement.batch {
        Some(batch) => Some(batch.clone()),
        None if statement.values.is_empty() => None,
        None => Some(value::batch(statement.values.clone())?),
    };
    let parameters = batch.map(|batch| ipc(&batch)).transpose()?.unwrap_or_default();
    let mut message = dbmux_proto::Statement {
        sql: statement.sql.clone(),
        parameters,
        statement_id: statement.id,
        wait_ms: statement.wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        read_only: statement.read_only,
        ..dbmux_proto::Statement::default()
    };
    if let Some(priority) = statement.priority {
        message.set_priority(priority.into());
    }
    Ok(message)
}

fn ipc(batch: &arrow::array::RecordBatch) -> Result<Vec<u8>, ClientError> {
    let invalid = |error: arrow::error::ArrowError| ClientError::InvalidArgument(error.to_string());
    let mut bytes = Vec::new();
    let mut writer = arrow::ipc::writer::StreamWriter::try_new(&mut bytes, &batch.schema()).map_err(invalid)?;
    writer.write(batch).map_err(invalid)?;
    writer.finish().map_err(invalid)?;
    drop(writer);
    Ok(bytes)
}
