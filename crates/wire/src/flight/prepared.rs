//! Prepared statements: what becomes of their parameters.
//!
//! Flight SQL's parameters have a position; the names of their columns are whatever a client likes (ADBC's count from 0).
//! A client that gives a statement with named parameters columns of the same names means these.

use std::sync::Arc;

use arrow::{
    array::{RecordBatch, RecordBatchOptions},
    compute::concat_batches,
    datatypes::{Field, Schema},
};
use arrow_flight::sql::{ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult};
use bytes::Bytes;
use dbmux_engine::{ResultShape, StatementRequest};
use tonic::Status;

use super::{encode::schema_bytes, transaction};
use crate::{
    connection::Caller,
    memory::Prepared,
    status::{internal, status},
};

/// Prepares a statement.
pub(super) async fn create(
    caller: &Caller,
    request: ActionCreatePreparedStatementRequest,
) -> Result<ActionCreatePreparedStatementResult, Status> {
    transaction::enter(caller, request.transaction_id.as_ref()).await?;
    let statement = caller.session.prepare(&request.query).await.map_err(status)?;
    Ok(ActionCreatePreparedStatementResult {
        dataset_schema: schema_bytes(&statement.schema)?,
        parameter_schema: schema_bytes(&statement.parameters)?,
        prepared_statement_handle: caller.memory.keep(&request.query, statement),
    })
}

/// Drops a prepared statement. Unknown ones are ignored.
pub(super) async fn close(caller: &Caller, handle: &Bytes) {
    if let Some(prepared) = caller.memory.forget(handle) {
        caller.session.forget(prepared.statement.id).await;
    }
}

/// What running a prepared statement means: once for each row bound to it, or once without parameters.
pub(super) fn requests(caller: &Caller, handle: &Bytes, number: u64) -> Result<Vec<StatementRequest>, Status> {
    let prepared = caller.memory.prepared(handle)?;
    let rows: Vec<_> = prepared.rows.iter().flat_map(rows).collect();
    let each = |row| StatementRequest { statement_id: number, ..request(&prepared, row) };
    Ok(if rows.is_empty() { vec![each(None)] } else { rows.into_iter().map(|row| each(Some(row))).collect() })
}

/// The same of a statement that changes rows, and runs by itself for each row that it is given: for all of them or for none.
pub(super) fn at_once(caller: &Caller, handle: &Bytes, number: u64) -> Result<Vec<StatementRequest>, Status> {
    let prepared = caller.memory.prepared(handle)?;
    let Some(first) = prepared.rows.first().filter(|_| prepared.statement.shape == ResultShape::RowsChanged) else {
        return requests(caller, handle, number);
    };
    match concat_batches(&first.schema(), prepared.rows.iter()) {
        Ok(rows) if rows.num_rows() > 0 => {
            Ok(vec![StatementRequest { statement_id: number, ..request(&prepared, Some(rows)) }])
        }
        // Their columns differ from batch to batch, or there are no rows.
        _ => requests(caller, handle, number),
    }
}

/// One run of a prepared statement.
pub(super) fn request(prepared: &Prepared, row: Option<RecordBatch>) -> StatementRequest {
    StatementRequest {
        sql: prepared.sql.to_string(),
        prepared: Some(prepared.statement.id),
        parameters: row,
        ..StatementRequest::default()
    }
}

/// A batch's rows.
pub(super) fn rows(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> + '_ {
    (0..batch.num_rows()).map(|row| batch.slice(row, 1))
}

/// Gives parameters the names that the statement knows them by.
pub(super) fn named(prepared: &Prepared, batch: &RecordBatch) -> Result<RecordBatch, Status> {
    let bare = |name: &str| name.trim_start_matches(['$', ':', '@']).to_lowercase();
    let known: Vec<_> = prepared.statement.parameters.fields().iter().map(|field| bare(field.name())).collect();
    let given = batch.schema();
    let by_name = !known.is_empty()
        && known.iter().all(|name| name.parse::<u32>().is_err())
        && given.fields().iter().all(|field| known.contains(&bare(field.name())));
    if by_name {
        return Ok(batch.clone());
    }
    numbered(batch)
}

/// Gives columns numbers for names, in their order.
pub(super) fn numbered(batch: &RecordBatch) -> Result<RecordBatch, Status> {
    let given = batch.schema();
    let numbered = |(index, field): (usize, &Arc<Field>)| field.as_ref().clone().with_name((index + 1).to_string());
    let schema = Schema::new(given.fields().iter().enumerate().map(numbered).collect::<Vec<_>>());
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(schema), batch.columns().to_vec(), &options)
        .map_err(|error| internal(format!("failed to number the parameters: {error}")))
}
