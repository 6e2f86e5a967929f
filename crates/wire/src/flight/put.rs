//! `DoPut`: updates, parameters, and tables full of rows.

use arrow::{array::RecordBatch, compute::concat_batches};
use arrow_flight::{
    FlightData, PutResult,
    decode::FlightRecordBatchStream,
    error::FlightError,
    sql::{Command, DoPutPreparedStatementResult, DoPutUpdateResult},
};
use bytes::Bytes;
use dbmux_engine::{IngestRows, StatementRequest};
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use serde_json::json;
use tonic::{Status, Streaming};

use super::{
    ask::text,
    info::asked,
    ingest, prepared, transaction,
    upload::{change, next},
};
use crate::{
    connection::Caller,
    status::{invalid, unsupported},
};

/// What the rows for one statement may take, in bytes: they are kept until it runs.
const LARGEST_PARAMETERS: usize = 64 << 20;

/// Takes what a client sends, and gives the one message that answers it.
pub(super) async fn put(caller: &Caller, mut stream: Streaming<FlightData>) -> Result<PutResult, Status> {
    let first = stream.next().await.ok_or_else(|| invalid("DoPut without a message"))??;
    let descriptor = first.flight_descriptor.clone();
    let descriptor = descriptor.ok_or_else(|| invalid("DoPut without a descriptor in its first message"))?;
    let batches = batches(first, stream);
    if let Some(sql) = text(&descriptor.cmd) {
        return written(caller, sql, batches).await;
    }
    match asked(&descriptor)? {
        Command::CommandStatementUpdate(update) => {
            transaction::enter(caller, update.transaction_id.as_ref()).await?;
            let request = StatementRequest { sql: update.query, ..StatementRequest::default() };
            changed(change(caller, request).await?)
        }
        Command::CommandPreparedStatementUpdate(update) => {
            transaction::enter(caller, None).await?;
            changed(update_each(caller, &update.prepared_statement_handle, batches).await?)
        }
        Command::CommandPreparedStatementQuery(query) => {
            bind(caller, &query.prepared_statement_handle, batches).await?;
            let result =
                DoPutPreparedStatementResult { prepared_statement_handle: Some(query.prepared_statement_handle) };
            Ok(PutResult { app_metadata: result.encode_to_vec().into() })
        }
        Command::CommandStatementIngest(command) => changed(ingest::ingest(caller, command, batches).await?),
        other => Err(unsupported(format!("DoPut of {} is not supported", other.type_url()))),
    }
}

/// Runs a statement as it is written, with the rows that come along; answers in JSON, for whoever knows no Flight SQL.
async fn written(caller: &Caller, sql: String, mut batches: FlightRecordBatchStream) -> Result<PutResult, Status> {
    let rows = gather(&mut batches).await?;
    let parameters = match batches.schema() {
        Some(schema) if !schema.fields().is_empty() => {
            let rows = concat_batches(schema, &rows);
            Some(rows.map_err(|error| invalid(format!("the rows do not fit together: {error}")))?)
        }
        _ => None,
    };
    let request = StatementRequest { sql, parameters, ..StatementRequest::default() };
    transaction::enter(caller, None).await?;
    let count = change(caller, request).await?;
    let answer = if count < 0 { json!({}) } else { json!({ "count": count }) };
    Ok(PutResult { app_metadata: answer.to_string().into() })
}

fn changed(record_count: i64) -> Result<PutResult, Status> {
    Ok(PutResult { app_metadata: DoPutUpdateResult { record_count }.encode_to_vec().into() })
}

/// The batches of a client's messages; the first one may carry nothing but the descriptor.
fn batches(first: FlightData, rest: Streaming<FlightData>) -> FlightRecordBatchStream {
    let messages = futures::stream::iter([Ok(first)]).chain(rest);
    let messages = messages.try_filter(|message| {
        let has_header = !message.data_header.is_empty();
        async move { has_header }
    });
    FlightRecordBatchStream::new_from_flight_data(messages.map_err(FlightError::from))
}

/// All batches that a client sends.
async fn gather(batches: &mut FlightRecordBatchStream) -> Result<Vec<RecordBatch>, Status> {
    let (mut rows, mut size) = (Vec::new(), 0);
    while let Some(batch) = next(batches).await? {
        size += batch.get_array_memory_size();
        if size > LARGEST_PARAMETERS {
            let limit = LARGEST_PARAMETERS >> 20;
            return Err(invalid(format!(
                "the parameters take more than {limit} MiB: ingest rows into a table instead"
            )));
        }
        rows.push(batch);
    }
    Ok(rows)
}

/// Binds the rows that a client sends; none: what was bound before stays.
async fn bind(caller: &Caller, handle: &Bytes, mut batches: FlightRecordBatchStream) -> Result<(), Status> {
    let prepared = caller.memory.prepared(handle)?;
    let rows = gather(&mut batches).await?;
    let rows = rows.iter().map(|batch| prepared::named(&prepared, batch)).collect::<Result<_, _>>()?;
    if batches.schema().is_some() {
        caller.memory.bind(handle, rows);
    }
    Ok(())
}

/// Runs a prepared statement for each row of parameters, those that come along or those bound before: for all of them,
/// or for none.
async fn update_each(caller: &Caller, handle: &Bytes, batches: FlightRecordBatchStream) -> Result<i64, Status> {
    bind(caller, handle, batches).await?;
    let requests = match caller.session.ingest_sql().rows {
        IngestRows::AsParameters => prepared::at_once(caller, handle, caller.memory.number())?,
        IngestRows::AsList => prepared::requests(caller, handle, caller.memory.number())?,
    };
    if requests.len() == 1 {
        return each(caller, requests).await;
    }
    let own = caller.clone();
    transaction::together(caller, async move { each(&own, requests).await }).await
}

async fn each(caller: &Caller, requests: Vec<StatementRequest>) -> Result<i64, Status> {
    let mut count = 0;
    for request in requests {
        let changed = change(caller, request).await?;
        count = if changed < 0 { changed } else { count + changed };
    }
    Ok(count)
}
