//! From a client's batch of one row to DuckDB's values.

use dbmux_engine::{EngineError, Parameters};

use crate::{
    errors,
    ffi::{Connection, Value},
};

/// Values with the names that the statement knows them by.
pub(crate) fn bind(
    connection: &Connection,
    names: &[String],
    parameters: Option<&Parameters>,
) -> Result<Vec<(String, Value)>, EngineError> {
    let Some(batch) = parameters.filter(|batch| batch.num_columns() > 0) else {
        return Ok(Vec::new());
    };
    if batch.num_rows() != 1 {
        return Err(mismatch(format!("parameters are one row; there are {}", batch.num_rows())));
    }
    let types = || {
        let types: Vec<_> = batch.schema().fields().iter().map(|field| field.data_type().to_string()).collect();
        types.join(", ")
    };
    let values = Value::from_row(connection, batch).map_err(|failure| errors::parameter(&failure, types))?;
    let schema = batch.schema();
    let given: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    if is_positional(&given) {
        if given.len() != names.len() {
            return Err(mismatch(format!("the statement has {} parameters; {} were given", names.len(), given.len())));
        }
        return Ok(names.iter().cloned().zip(values).collect());
    }
    let bare = |name: &str| name.trim_start_matches(['$', ':', '@']).to_lowercase();
    given
        .into_iter()
        .zip(values)
        .map(|(given, value)| {
            names
                .iter()
                .find(|name| bare(name) == bare(given))
                .map(|name| (name.clone(), value))
                .ok_or_else(|| mismatch(format!("the statement has no parameter called \"{given}\"")))
        })
        .collect()
}

/// Columns called `1`, `2`, … or `$1`, … in order, or nothing at all.
fn is_positional(names: &[&str]) -> bool {
    names.iter().enumerate().all(|(index, name)| {
        let name = name.trim_start_matches('$');
        name.is_empty() || name.parse() == Ok(index + 1)
    })
}

fn mismatch(message: String) -> EngineError {
    EngineError::Sql { message, sqlstate: "07001" }
}
