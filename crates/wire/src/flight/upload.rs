//! What every kind of `DoPut` does: it takes batches, and runs statements that change rows.

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::Int64Type,
};
use arrow_flight::{decode::FlightRecordBatchStream, error::FlightError};
use dbmux_engine::{ResultShape, StatementKind, StatementRequest};
use futures::StreamExt;
use tonic::Status;

use crate::{
    connection::Caller,
    status::{invalid, status},
};

/// The next batch that a client sends.
pub(super) async fn next(batches: &mut FlightRecordBatchStream) -> Result<Option<RecordBatch>, Status> {
    batches.next().await.transpose().map_err(|error| match error {
        FlightError::Tonic(status) => *status,
        other => invalid(format!("what was sent is no Arrow data: {other}")),
    })
}

/// Runs a statement to its end, and tells how many rows it changed; -1: it is not known.
pub(super) async fn change(caller: &Caller, request: StatementRequest) -> Result<i64, Status> {
    let mut answer = caller.session.run(request).await.map_err(status)?;
    let mut count = 0;
    while let Some(batch) = answer.batches.next().await {
        let batch = batch.map_err(status)?;
        count += match answer.shape {
            ResultShape::RowsChanged => total(&batch),
            ResultShape::Rows => i64::try_from(batch.num_rows()).unwrap_or(i64::MAX),
            ResultShape::Nothing => 0,
        };
    }
    Ok(if answer.shape == ResultShape::Rows && answer.kind == StatementKind::Read { -1 } else { count })
}

fn total(batch: &RecordBatch) -> i64 {
    let counts = batch.columns().first().and_then(|column| column.as_primitive_opt::<Int64Type>());
    counts.map(|counts| counts.iter().flatten().sum()).unwrap_or_default()
}
