//! `GetFlightInfo` and `GetSchema`: what an answer will look like, and the ticket for it. Nothing runs here.
//!
//! The schema is told for reads without parameters only. Without it a client waits for the answer's first message
//! (ADBC does), and that is what a write needs: it is done, or has failed, when `execute` returns.

use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::{
    FlightDescriptor, FlightEndpoint, FlightInfo, SchemaResult, Ticket,
    flight_descriptor::DescriptorType,
    sql::{Command, ProstMessageExt, TicketStatementQuery},
};
use bytes::Bytes;
use dbmux_engine::{PreparedStatement, ResultShape, StatementKind};
use prost::Message;
use tonic::Status;

use super::{
    ask::{self, Handle, command},
    catalog,
    encode::schema_bytes,
    transaction,
};
use crate::{
    connection::Caller,
    status::{invalid, status},
};

/// Answers `GetFlightInfo`.
pub(super) async fn info(caller: &Caller, descriptor: FlightDescriptor) -> Result<FlightInfo, Status> {
    let (schema, ticket) = match asked(&descriptor)? {
        Command::CommandStatementQuery(query) => {
            transaction::enter(caller, query.transaction_id.as_ref()).await?;
            let statement = look(caller, &query.query).await?;
            let handle = Handle { sql: query.query, transaction: query.transaction_id, ..Handle::default() };
            (foretold(&statement)?, issue(caller, handle, statement.kind))
        }
        Command::CommandPreparedStatementQuery(query) => {
            let statement = caller.memory.prepared(&query.prepared_statement_handle)?.statement;
            let handle = Handle { prepared: query.prepared_statement_handle, ..Handle::default() };
            (foretold(&statement)?, issue(caller, handle, statement.kind))
        }
        other => (schema_bytes(&*catalog::schema(&other)?)?, descriptor.cmd.clone()),
    };
    let endpoint = FlightEndpoint::new().with_ticket(Ticket { ticket });
    let info = FlightInfo::new().with_descriptor(descriptor).with_endpoint(endpoint);
    Ok(FlightInfo { schema, ..info })
}

/// Answers `GetSchema`.
pub(super) async fn schema(caller: &Caller, descriptor: FlightDescriptor) -> Result<SchemaResult, Status> {
    let schema: SchemaRef = match asked(&descriptor)? {
        Command::CommandStatementQuery(query) => {
            transaction::enter(caller, query.transaction_id.as_ref()).await?;
            look(caller, &query.query).await?.schema
        }
        Command::CommandPreparedStatementQuery(query) => {
            caller.memory.prepared(&query.prepared_statement_handle)?.statement.schema
        }
        other => catalog::schema(&other)?,
    };
    Ok(SchemaResult { schema: schema_bytes(&schema)? })
}

/// What a descriptor asks for.
pub(super) fn asked(descriptor: &FlightDescriptor) -> Result<Command, Status> {
    if descriptor.r#type() != DescriptorType::Cmd {
        return Err(invalid("a descriptor is a command here, not a path"));
    }
    command(ask::asked(&descriptor.cmd, "the command")?)
}

/// Prepares a statement to see what it is.
async fn look(caller: &Caller, sql: &str) -> Result<PreparedStatement, Status> {
    let statement = caller.session.prepare(sql).await.map_err(status)?;
    caller.session.forget(statement.id).await;
    Ok(statement)
}

fn foretold(statement: &PreparedStatement) -> Result<Bytes, Status> {
    let certain = statement.kind == StatementKind::Read
        && statement.shape == ResultShape::Rows
        && statement.parameters == Schema::empty();
    // An answer from a snapshot says so in its schema, which the client takes from the answer then.
    let certain = certain && statement.foretold && !statement.from_snapshot;
    if certain { schema_bytes(&statement.schema) } else { Ok(Bytes::new()) }
}

fn issue(caller: &Caller, handle: Handle, kind: StatementKind) -> Bytes {
    let number = caller.memory.number();
    let once = kind != StatementKind::Read;
    if once {
        caller.memory.issue(number);
    }
    let statement_handle = Handle { number, once, ..handle }.encode_to_vec().into();
    TicketStatementQuery { statement_handle }.as_any().encode_to_vec().into()
}
