//! The traits between dbmux's broker, its engines and its wire protocols.
//!
//! Data flows one way: a wire protocol sees a [`Service`] and its [`Session`]s (asynchronous; the broker implements
//! them), the broker sees an [`Engine`] and its [`EngineSession`]s (blocking; a backend implements them). Values cross
//! as Arrow record batches. No backend is named here.

mod backend;
mod catalog;
mod error;
mod features;
mod ingest;
pub mod insert;
mod made;
pub mod quote;
mod service;
mod statement;

pub use backend::{
    Access, Attachment, Engine, EngineSession, Interrupter, Parameters, Prepared, PreparedId, Progress, ResultShape,
    Rows, SessionOptions, SessionState,
};
pub use catalog::CatalogSql;
pub use dbmux_proto::{
    ErrorCode, HelloReply, HelloRequest, Holder, LeaseAsk, LeaseEvent, StatementEvent, StatsReply, StatusReply,
};
pub use error::{EngineError, ServiceError};
pub use features::{ColumnType, Isolation, SqlFeatures, TypeKind};
pub use ingest::{IngestRows, IngestSql};
pub use made::{MadeRows, count_batch, count_schema};
pub use service::{
    Answer, BatchStream, LeaseAsks, LeaseEvents, Peer, PreparedStatement, Service, Session, SessionId, StatementRequest,
};
pub use statement::{InsertShape, Priority, Seats, StatementKind};
