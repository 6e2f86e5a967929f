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
    let values = Value::from_rows(connection, batch).map_err(|failure| errors::parameter(&failure, types))?;
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

/// The values of many statements' parameters: for each wish, a row and the number of its parameter, from 1. `None`: a row's
/// own statement would not take what was given with it, or the rows differ in their types.
pub(crate) fn gather(
    connection: &Connection,
    rows: &[Option<&Parameters>],
    wishes: &[(usize, usize)],
) -> Result<Option<Vec<Value>>, EngineError> {
    let mut counts = vec![0; rows.len()];
    for (row, number) in wishes {
        if let Some(count) = counts.get_mut(*row) {
            *count = (*number).max(*count);
        }
    }
    let given: Vec<&Parameters> = rows.iter().filter_map(|row| row.filter(|batch| batch.num_columns() > 0)).collect();
    let fits = rows.iter().zip(&counts).all(|(row, count)| match row {
        Some(batch) => {
            let schema = batch.schema();
            let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            names.len() == *count && (names.is_empty() || batch.num_rows() == 1) && is_positional(&names)
        }
        None => *count == 0,
    });
    let Some(schema) = given.first().map(|batch| batch.schema()) else {
        return Ok(fits.then(Vec::new));
    };
    if !fits || given.iter().any(|batch| batch.schema().fields() != schema.fields()) {
        return Ok(None);
    }
    let all = arrow::compute::concat_batches(&schema, given)
        .map_err(|error| EngineError::Internal { message: error.to_string() })?;
    let types = || "of the rows".to_owned();
    let values = Value::from_rows(connection, &all).map_err(|failure| errors::parameter(&failure, types))?;
    let width = schema.fields().len();
    // Where each row's values begin: rows without parameters have none.
    let mut start = 0;
    let starts: Vec<usize> = counts
        .iter()
        .map(|count| {
            let begins = start;
            start += if *count == 0 { 0 } else { width };
            begins
        })
        .collect();
    let mut values: Vec<Option<Value>> = values.into_iter().map(Some).collect();
    let wished = wishes.iter().map(|(row, number)| {
        let place = starts.get(*row).copied()?.checked_add(*number)?.checked_sub(1)?;
        values.get_mut(place)?.take()
    });
    // A parameter that is used twice is one that the plain form has not: declined.
    Ok(wished.collect())
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
