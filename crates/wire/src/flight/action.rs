//! `DoAction`: prepared statements, transactions, cancelling, the session itself.

use arrow::error::ArrowError;
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo,
    sql::{
        ActionBeginTransactionResult, ActionCancelQueryRequest, ActionCancelQueryResult,
        ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionEndTransactionRequest, Any,
        ProstMessageExt, TicketStatementQuery,
    },
};
use arrow_json::LineDelimitedWriter;
use bytes::Bytes;
use dbmux_engine::StatementRequest;
use futures::StreamExt;
use prost::Message;
use tonic::{Request, Status};

use super::{
    ask::{Handle, any},
    options, prepared, transaction,
};
use crate::{
    connection::{Caller, Connection},
    status::{internal, invalid, status, unsupported},
};

/// What clients do that know neither Flight SQL nor Arrow.
const OPERATION: &str = "dbmux.Operation";
/// What its answer may take, in bytes: it is gathered.
const LARGEST_OPERATION: usize = 64 << 20;

/// The actions there are, and what they are for.
const ACTIONS: &[(&str, &str)] = &[
    ("CreatePreparedStatement", "prepares a statement (ActionCreatePreparedStatementRequest)"),
    ("ClosePreparedStatement", "drops a prepared statement (ActionClosePreparedStatementRequest)"),
    ("BeginTransaction", "begins a transaction (ActionBeginTransactionRequest)"),
    ("EndTransaction", "commits a transaction, or rolls it back (ActionEndTransactionRequest)"),
    ("CancelQuery", "cancels a statement (ActionCancelQueryRequest)"),
    ("CancelFlightInfo", "cancels a statement (CancelFlightInfoRequest)"),
    ("SetSessionOptions", "sets options of the session (SetSessionOptionsRequest)"),
    ("GetSessionOptions", "tells options of the session (GetSessionOptionsRequest)"),
    ("CloseSession", "ends the connection's session (CloseSessionRequest)"),
    (OPERATION, "runs a statement as it is written (its text), and answers with a JSON object for each row"),
];

/// Answers `ListActions`.
pub(super) fn list() -> impl Iterator<Item = ActionType> {
    ACTIONS.iter().map(|(name, what)| ActionType { r#type: (*name).to_owned(), description: (*what).to_owned() })
}

/// The messages that answer an action.
type Results = Vec<Bytes>;

/// Does an action.
pub(super) async fn act(request: Request<Action>) -> Result<Results, Status> {
    let Some((name, _)) = ACTIONS.iter().find(|(name, _)| *name == request.get_ref().r#type) else {
        return Err(unsupported(format!("there is no action {:?}", request.get_ref().r#type)));
    };
    if *name == "CloseSession" {
        Connection::of(&request)?.close_implicit().await;
        return plain(&options::Closed { status: 1 });
    }
    let caller = Connection::caller(&request).await?;
    let body = request.into_inner().body;
    match *name {
        "CreatePreparedStatement" => {
            let request: ActionCreatePreparedStatementRequest = unpack(&body)?;
            packed(&prepared::create(&caller, request).await?)
        }
        "ClosePreparedStatement" => {
            let request: ActionClosePreparedStatementRequest = unpack(&body)?;
            prepared::close(&caller, &request.prepared_statement_handle).await;
            Ok(Results::new())
        }
        "BeginTransaction" => {
            packed(&ActionBeginTransactionResult { transaction_id: transaction::begin(&caller).await? })
        }
        "EndTransaction" => {
            let request: ActionEndTransactionRequest = unpack(&body)?;
            transaction::end(&caller, &request.transaction_id, request.action).await?;
            Ok(Results::new())
        }
        "CancelQuery" => {
            let request: ActionCancelQueryRequest = unpack(&body)?;
            let info = FlightInfo::decode(request.info).map_err(|error| bad("the query's FlightInfo", &error))?;
            let result = if caller.session.cancel(number(&info)?) { CANCELLED } else { NOT_CANCELLABLE };
            packed(&ActionCancelQueryResult { result })
        }
        "CancelFlightInfo" => {
            let request: CancelFlightInfoRequest = decode(body)?;
            let info = request.info.ok_or_else(|| invalid("CancelFlightInfo without a FlightInfo"))?;
            let cancelled = caller.session.cancel(number(&info)?);
            let status = if cancelled { CancelStatus::Cancelled } else { CancelStatus::NotCancellable };
            plain(&CancelFlightInfoResult { status: status.into() })
        }
        "SetSessionOptions" => plain(&options::set(&caller, decode(body)?).await?),
        "GetSessionOptions" => plain(&options::get(&caller).await?),
        OPERATION => operation(&caller, &body).await,
        _ => Err(internal("an action is listed and not known")),
    }
}

/// Runs a statement as it is written; each row of its answer is a JSON object.
async fn operation(caller: &Caller, body: &[u8]) -> Result<Results, Status> {
    let sql = str::from_utf8(body).map_err(|error| bad("the statement", &error))?.to_owned();
    transaction::enter(caller, None).await?;
    let request = StatementRequest { sql, ..StatementRequest::default() };
    let mut answer = caller.session.run(request).await.map_err(status)?;
    let failed = |error: ArrowError| internal(format!("failed to write a row as JSON: {error}"));
    let (mut rows, mut size) = (Results::new(), 0);
    while let Some(batch) = answer.batches.next().await {
        let mut lines = LineDelimitedWriter::new(Vec::new());
        lines.write(&batch.map_err(status)?).and_then(|()| lines.finish()).map_err(failed)?;
        let lines = Bytes::from(lines.into_inner());
        size += lines.len();
        if size > LARGEST_OPERATION {
            let limit = LARGEST_OPERATION >> 20;
            return Err(invalid(format!("the answer takes more than {limit} MiB: ask by DoGet, which streams it")));
        }
        rows.extend(lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|row| lines.slice_ref(row)));
    }
    Ok(rows)
}

/// `ActionCancelQueryResult.CancelResult`.
const CANCELLED: i32 = 1;
const NOT_CANCELLABLE: i32 = 3;

/// The number of the statement that a `FlightInfo` of ours is for.
fn number(info: &FlightInfo) -> Result<u64, Status> {
    let ticket = info.endpoint.first().and_then(|endpoint| endpoint.ticket.as_ref());
    let ticket = &ticket.ok_or_else(|| invalid("a FlightInfo without a ticket"))?.ticket;
    let ticket: Option<TicketStatementQuery> =
        any(ticket, "the ticket")?.unpack().map_err(|error| bad("the ticket", &error))?;
    let Some(ticket) = ticket else { return Err(invalid("a FlightInfo of no statement: it cannot be cancelled")) };
    let handle = Handle::decode(ticket.statement_handle).map_err(|error| bad("the ticket's handle", &error))?;
    // 0 would mean every statement of the session.
    if handle.number == 0 { Err(invalid("a ticket without a number")) } else { Ok(handle.number) }
}

fn unpack<M: ProstMessageExt + Message + Default>(body: &Bytes) -> Result<M, Status> {
    let any: Any = any(body, "the action's body")?;
    let url = any.type_url.clone();
    match any.unpack() {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err(invalid(format!("the action's body is {url:?}, not {}", M::type_url()))),
        Err(error) => Err(bad(&url, &error)),
    }
}

fn decode<M: Message + Default>(body: Bytes) -> Result<M, Status> {
    M::decode(body).map_err(|error| bad("the action's body", &error))
}

fn bad(what: &str, error: &dyn std::error::Error) -> Status {
    invalid(format!("{what} cannot be decoded: {error}"))
}

#[expect(clippy::unnecessary_wraps, reason = "as the match that uses it wants it")]
fn packed(message: &impl ProstMessageExt) -> Result<Results, Status> {
    Ok(vec![message.as_any().encode_to_vec().into()])
}

#[expect(clippy::unnecessary_wraps, reason = "as the match that uses it wants it")]
fn plain(message: &impl Message) -> Result<Results, Status> {
    Ok(vec![message.encode_to_vec().into()])
}
