//! A statement, as the wire has it.

use super::Statement;
use crate::{ClientError, connect::millis, value};

/// Makes the message.
pub(crate) fn encode(statement: &Statement) -> Result<dbmux_proto::Statement, ClientError> {
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
        wait_ms: statement.wait.map(millis),
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
