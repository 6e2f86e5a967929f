//! What a wire protocol sees. The broker implements it.

use std::{pin::Pin, sync::Arc, time::Duration};

use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use futures::Stream;

use crate::{
    CatalogSql, HelloReply, HelloRequest, IngestSql, LeaseAsk, LeaseEvent, Parameters, PreparedId, Priority,
    ResultShape, ServiceError, StatementEvent, StatementKind, StatsReply, StatusReply,
};

/// Names a session on the wire: unguessable, 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 16]);

impl std::fmt::Debug for SessionId {
    /// Shows four bytes of it: enough to tell sessions apart in a log, too little to take one over.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}{:02x}", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

/// The process at the other end of a local socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Peer {
    /// 0: unknown, or not on this machine.
    pub pid: u32,
    /// Its user; `None`: not on this machine.
    pub uid: Option<u32>,
}

/// What somebody says who wants the file for himself, as he says it.
pub type LeaseAsks = Pin<Box<dyn Stream<Item = LeaseAsk> + Send>>;

/// What the broker answers him with.
pub type LeaseEvents = Pin<Box<dyn Stream<Item = Result<LeaseEvent, ServiceError>> + Send>>;

/// A broker, as a wire protocol sees it.
#[async_trait::async_trait]
pub trait Service: Send + Sync + 'static {
    /// Opens a session.
    async fn open_session(
        &self,
        hello: HelloRequest,
        peer: Peer,
    ) -> Result<(HelloReply, Arc<dyn Session>), ServiceError>;

    /// Finds an open session.
    fn session(&self, id: SessionId) -> Option<Arc<dyn Session>>;

    /// Ends a session: its statement is interrupted, its transaction rolled back.
    async fn close_session(&self, id: SessionId);

    /// What the broker is doing now.
    async fn status(&self) -> StatusReply;

    /// What it has done since its start.
    async fn stats(&self) -> StatsReply;

    /// Makes way for somebody who wants the file for himself, and says for whom he waits, until the events are dropped. `peer` is who asks.
    fn lease(&self, asks: LeaseAsks, peer: Peer) -> LeaseEvents;

    /// Begins to drain; running statements may take this long.
    async fn stop(&self, drain: Duration);
}

/// One statement to run.
#[derive(Debug, Clone, Default)]
pub struct StatementRequest {
    /// The text; several statements run one after the other, and the last one answers.
    pub sql: String,
    /// Runs this prepared statement instead of the text.
    pub prepared: Option<PreparedId>,
    /// A batch of one row.
    pub parameters: Option<Parameters>,
    /// Chosen by the client; 0: none, it is not watched or cancelled by number.
    pub statement_id: u64,
    /// `None`: the session's default.
    pub wait: Option<Duration>,
    /// `None`: the session's default.
    pub priority: Option<Priority>,
    /// Refuses whatever writes.
    pub read_only: bool,
}

/// Batches as they are made. Dropping the stream interrupts the statement.
pub type BatchStream = Pin<Box<dyn Stream<Item = Result<RecordBatch, ServiceError>> + Send>>;

/// What a statement answers.
pub struct Answer {
    /// What it was.
    pub kind: StatementKind,
    /// What it answers.
    pub shape: ResultShape,
    /// The columns.
    pub schema: SchemaRef,
    /// The rows; for [`ResultShape::RowsChanged`] one row with one `BIGINT`.
    pub batches: BatchStream,
    /// Set where a snapshot answered: RFC 3339.
    pub as_of: Option<String>,
    /// What a person should be told.
    pub notices: Vec<String>,
}

/// A prepared statement, as a wire protocol sees it.
#[derive(Debug, Clone)]
pub struct PreparedStatement {
    /// Its name in the session.
    pub id: PreparedId,
    /// What it may do.
    pub kind: StatementKind,
    /// What it answers.
    pub shape: ResultShape,
    /// The columns it answers with.
    pub schema: SchemaRef,
    /// Its parameters.
    pub parameters: Schema,
    /// A snapshot answers reads now.
    pub from_snapshot: bool,
    /// The answer will have the columns told here.
    pub foretold: bool,
}

/// One client's conversation with the broker.
#[async_trait::async_trait]
pub trait Session: Send + Sync + 'static {
    /// Its name on the wire.
    fn id(&self) -> SessionId;

    /// How to ask it what there is.
    fn catalog_sql(&self) -> CatalogSql;

    /// How to put rows into a table.
    fn ingest_sql(&self) -> IngestSql;

    /// Prepares one statement.
    async fn prepare(&self, sql: &str) -> Result<PreparedStatement, ServiceError>;

    /// Drops a prepared statement. Unknown ones are ignored.
    async fn forget(&self, prepared: PreparedId);

    /// Runs a statement when its turn has come. Dropping the future gives the place in line back, or interrupts.
    async fn run(&self, request: StatementRequest) -> Result<Answer, ServiceError>;

    /// Interrupts a statement, waiting or running; 0: whichever there is. Tells whether there was one.
    fn cancel(&self, statement_id: u64) -> bool;

    /// What becomes of a statement, until it has ended: an event at each change, and at least four a second.
    fn watch(&self, statement_id: u64) -> Pin<Box<dyn Stream<Item = StatementEvent> + Send>>;
}
