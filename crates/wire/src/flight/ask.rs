//! `DoGet`: a ticket becomes an answer.

use std::time::Duration;

use arrow::{array::RecordBatch, ipc::reader::StreamReader};
use arrow_flight::sql::{Any, Command};
use bytes::Bytes;
use dbmux_engine::{Priority, StatementRequest};
use dbmux_proto::{STATEMENT_TYPE_URL, Statement};
use prost::Message;
use tonic::Status;

use super::encode::{self, FlightStream};
use crate::{
    connection::Caller,
    status::{invalid, status, unsupported},
};

/// Answers a ticket.
pub(crate) async fn ticket(caller: &Caller, ticket: Bytes) -> Result<FlightStream, Status> {
    let any = Any::decode(ticket).map_err(|error| invalid(format!("the ticket cannot be decoded: {error}")))?;
    if any.type_url == STATEMENT_TYPE_URL {
        return run(caller, statement(any.value)?).await;
    }
    match command(any)? {
        Command::CommandStatementQuery(query) => {
            run(caller, StatementRequest { sql: query.query, ..StatementRequest::default() }).await
        }
        other => Err(unsupported(format!("a ticket of type {}", other.type_url()))),
    }
}

/// Runs a statement.
pub(crate) async fn run(caller: &Caller, request: StatementRequest) -> Result<FlightStream, Status> {
    encode::answer(caller.session.run(request).await.map_err(status)?)
}

/// Reads a Flight SQL message.
pub(crate) fn command(any: Any) -> Result<Command, Status> {
    let url = any.type_url.clone();
    Command::try_from(any).map_err(|error| invalid(format!("{url} cannot be decoded: {error}")))
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

/// Reads a statement's parameters: an IPC stream of one row; nothing at all: none.
fn parameters(stream: &[u8]) -> Result<Option<RecordBatch>, Status> {
    if stream.is_empty() {
        return Ok(None);
    }
    let bad = |error| invalid(format!("the parameters are no Arrow IPC stream: {error}"));
    let mut row = None;
    for batch in StreamReader::try_new(stream, None).map_err(bad)? {
        let batch = batch.map_err(bad)?;
        match (batch.num_rows(), &row) {
            (0, _) => {}
            (1, None) => row = Some(batch),
            _ => return Err(invalid("the parameters have more than one row")),
        }
    }
    row.map(Some).ok_or_else(|| invalid("the parameters have no row"))
}
