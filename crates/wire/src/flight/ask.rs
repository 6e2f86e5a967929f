//! `DoGet`: a ticket becomes an answer.

use std::time::Duration;

use arrow::{array::RecordBatch, compute::concat_batches, ipc::reader::StreamReader};
use arrow_flight::sql::{Any, Command, CommandStatementQuery, ProstMessageExt};
use bytes::Bytes;
use dbmux_engine::{Answer, BatchStream, ErrorCode, Priority, ServiceError, Session, StatementRequest};
use dbmux_proto::{STATEMENT_TYPE_URL, Statement};
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use tonic::Status;

use super::{
    catalog,
    encode::{self, FlightStream},
    prepared, transaction,
};
use crate::{
    connection::Caller,
    status::{invalid, status, unsupported},
};

/// What a ticket that we gave out says.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Handle {
    #[prost(string, tag = "1")]
    pub(super) sql: String,
    /// A prepared statement; then there is no text.
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) prepared: Bytes,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(super) transaction: Option<Bytes>,
    /// The statement's number, by which it can be cancelled.
    #[prost(uint64, tag = "4")]
    pub(super) number: u64,
    /// It runs at most once.
    #[prost(bool, tag = "5")]
    pub(super) once: bool,
}

/// Answers a ticket.
pub(super) async fn ticket(caller: &Caller, ticket: Bytes) -> Result<FlightStream, Status> {
    let any = asked(&ticket, "the ticket")?;
    if any.type_url == STATEMENT_TYPE_URL {
        return run(caller, vec![statement(any.value)?]).await;
    }
    match command(any)? {
        Command::TicketStatementQuery(ticket) => {
            let handle = Handle::decode(ticket.statement_handle)
                .map_err(|error| invalid(format!("the ticket's handle cannot be decoded: {error}")))?;
            redeem(caller, handle).await
        }
        Command::CommandStatementQuery(query) => {
            transaction::enter(caller, query.transaction_id.as_ref()).await?;
            run(caller, vec![StatementRequest { sql: query.query, ..StatementRequest::default() }]).await
        }
        Command::CommandPreparedStatementQuery(query) => {
            transaction::enter(caller, None).await?;
            run(caller, prepared::requests(caller, &query.prepared_statement_handle, 0)?).await
        }
        other => encode::batch(catalog::answer(caller, other).await?),
    }
}

async fn redeem(caller: &Caller, handle: Handle) -> Result<FlightStream, Status> {
    if handle.once {
        caller.memory.redeem(handle.number)?;
    }
    if handle.prepared.is_empty() {
        transaction::enter(caller, handle.transaction.as_ref()).await?;
        let request = StatementRequest { sql: handle.sql, statement_id: handle.number, ..StatementRequest::default() };
        return run(caller, vec![request]).await;
    }
    transaction::enter(caller, None).await?;
    run(caller, prepared::requests(caller, &handle.prepared, handle.number)?).await
}

/// Runs statements of one kind, one after the other, and strings their answers together.
async fn run(caller: &Caller, requests: Vec<StatementRequest>) -> Result<FlightStream, Status> {
    let mut requests = requests.into_iter();
    let first = requests.next().ok_or_else(|| invalid("there is nothing to run: no parameters were bound"))?;
    let mut answer = caller.session.run(first).await.map_err(status)?;
    if requests.len() > 0 {
        let (session, schema) = (caller.session.clone(), answer.schema.clone());
        let others =
            futures::stream::iter(requests).then(move |request| next(session.clone(), schema.clone(), request));
        answer.batches = Box::pin(answer.batches.chain(others.try_flatten()));
    }
    encode::answer(answer)
}

async fn next(
    session: std::sync::Arc<dyn Session>,
    schema: arrow::datatypes::SchemaRef,
    request: StatementRequest,
) -> Result<BatchStream, ServiceError> {
    let Answer { batches, schema: its, .. } = session.run(request).await?;
    if its != schema {
        return Err(ServiceError::new(ErrorCode::Unsupported, "rows of parameters give answers of different types"));
    }
    Ok(batches)
}

/// A statement as it is written, from a client that knows Arrow Flight and not Flight SQL: whatever is text, and does not
/// begin as a packed message does.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    const TYPE_URL: u8 = 0x0a;
    let text = str::from_utf8(bytes).ok().filter(|text| !text.trim().is_empty())?;
    (bytes.first() != Some(&TYPE_URL)).then(|| text.to_owned())
}

/// What a ticket or a command asks for; a statement as it is written is a query.
pub(super) fn asked(bytes: &Bytes, what: &str) -> Result<Any, Status> {
    match text(bytes) {
        Some(query) => Ok(CommandStatementQuery { query, transaction_id: None }.as_any()),
        None => any(bytes, what),
    }
}

/// Reads what Flight SQL packs its messages in.
pub(super) fn any(bytes: &Bytes, what: &str) -> Result<Any, Status> {
    Any::decode(bytes.clone()).map_err(|error| invalid(format!("{what} cannot be decoded: {error}")))
}

/// Reads a Flight SQL message.
pub(super) fn command(any: Any) -> Result<Command, Status> {
    let url = any.type_url.clone();
    match Command::try_from(any) {
        Ok(Command::Unknown(any)) => Err(unsupported(format!("a message of type {:?} is not supported", any.type_url))),
        Ok(command) => Ok(command),
        Err(error) => Err(invalid(format!("{url} cannot be decoded: {error}"))),
    }
}

/// Reads our own statement.
fn statement(value: Bytes) -> Result<StatementRequest, Status> {
    let statement =
        Statement::decode(value).map_err(|error| invalid(format!("the statement cannot be decoded: {error}")))?;
    let priority = match dbmux_proto::Priority::try_from(statement.priority) {
        Ok(dbmux_proto::Priority::Unspecified) => None,
        Ok(dbmux_proto::Priority::High) => Some(Priority::High),
        Ok(dbmux_proto::Priority::Normal) => Some(Priority::Normal),
        Ok(dbmux_proto::Priority::Low) => Some(Priority::Low),
        Err(_) => return Err(invalid(format!("there is no priority {}", statement.priority))),
    };
    Ok(StatementRequest {
        sql: statement.sql,
        prepared: None,
        parameters: parameters(&statement.parameters)?,
        statement_id: statement.statement_id,
        wait: statement.wait_ms.map(Duration::from_millis),
        priority,
        read_only: statement.read_only,
    })
}

/// Reads a statement's parameters: an IPC stream, whose batches become one; nothing at all: none.
fn parameters(stream: &[u8]) -> Result<Option<RecordBatch>, Status> {
    if stream.is_empty() {
        return Ok(None);
    }
    // The reader checks what it reads, and yet panics on some streams that were tampered with.
    let rows = std::panic::catch_unwind(|| rows(stream));
    rows.unwrap_or_else(|_| Err(invalid("the parameters are no Arrow IPC stream"))).map(Some)
}

fn rows(stream: &[u8]) -> Result<RecordBatch, Status> {
    let bad = |error| invalid(format!("the parameters are no Arrow IPC stream: {error}"));
    let reader = StreamReader::try_new(stream, None).map_err(bad)?;
    let schema = reader.schema();
    let batches: Vec<_> = reader.collect::<Result<_, _>>().map_err(bad)?;
    concat_batches(&schema, &batches).map_err(bad)
}
