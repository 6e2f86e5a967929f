//! A statement, as the wire has it.

use super::Statement;
use crate::{ClientError, connect::millis, value};

/// Makes the message.
pub(crate) fn encode(statement: &Statement) -> Result<dbmux_proto::Statement, ClientError> {
    let batch = match &statement.batch {
        Some(_) if !statement.values.is_empty() => {
            let text = "parameters are given as a batch and one by one";
            return Err(ClientError::InvalidArgument(text.to_owned()));
        }
        Some(batch) if batch.num_rows() != 1 && !statement.takes_rows => {
            let text = format!("parameters are a batch of one row, not of {}", batch.num_rows());
            return Err(ClientError::InvalidArgument(text));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_given_in_one_way_and_once() {
        let batch = value::batch(vec![(None, 1.into())]).expect("a batch");
        assert!(encode(&Statement::new("select $1").parameters(batch.clone())).is_ok());
        assert!(encode(&Statement::new("select $1").bind(1)).is_ok());
        let both = Statement::new("select $1").bind(1).parameters(batch.clone());
        assert!(matches!(encode(&both), Err(ClientError::InvalidArgument(_))));
        let none = Statement::new("select $1").parameters(batch.slice(0, 0));
        assert!(matches!(encode(&none), Err(ClientError::InvalidArgument(text)) if text.contains("of 0")));
        assert!(encode(&Statement::new("{\"add\": {\"table\": \"t\"}}").rows(batch.slice(0, 0))).is_ok());
    }
}
