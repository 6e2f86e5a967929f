//! Rows of many single-row inserts, in one transaction.
//!
//! Each row's own statement runs: what it does alone, with its triggers, defaults and conversions, it does here. All
//! succeed, or none has happened, and the error is the first one's.

use std::sync::Arc;

use dbmux_engine::{EngineError, InsertShape, Parameters, insert};

use crate::{
    connection::Connection,
    ffi::Failure,
    parameters::{self, Bind},
};

/// Inserts a row for each statement.
pub(crate) fn insert(
    connection: &mut Connection,
    shape: &InsertShape,
    rows: &[(&str, Option<&Parameters>)],
) -> Result<(), EngineError> {
    let fits = |(sql, _): &(&str, _)| insert::recognise(sql).is_some_and(|insert| insert.shape == *shape);
    if !rows.iter().all(fits) {
        return Err(declined());
    }
    run(connection, "BEGIN IMMEDIATE")?;
    let done = rows.iter().try_for_each(|(sql, parameters)| row(connection, sql, *parameters));
    let done = done.and_then(|()| run(connection, "COMMIT"));
    // Some failures have rolled back by themselves.
    if done.is_err() && !connection.handle.is_autocommit() {
        run(connection, "ROLLBACK")?;
    }
    done
}

fn row(connection: &mut Connection, sql: &str, parameters: Option<&Parameters>) -> Result<(), EngineError> {
    let mut statement = connection.statement(sql)?;
    let failed = |failure: Failure| connection.error(&failure);
    parameters::bind(&mut statement, parameters).map_err(|error| match error {
        Bind::Engine(error) => error,
        Bind::Failed(failure) => failed(failure),
    })?;
    let answers = statement.step().map_err(failed)?;
    // A table may itself say that a row is to be ignored, or others to be replaced by it.
    if answers || connection.handle.changes() != 1 {
        return Err(declined());
    }
    // Those with parameters come again; of the others each is another one.
    if parameters.is_some() {
        connection.keep(&Arc::from(sql), statement);
    }
    Ok(())
}

fn run(connection: &mut Connection, sql: &str) -> Result<(), EngineError> {
    let mut statement = connection.statement(sql)?;
    let done = statement.step().map_err(|failure| connection.error(&failure)).map(drop);
    connection.keep(&Arc::from(sql), statement);
    done
}

/// "Run them one by one."
pub(crate) fn declined() -> EngineError {
    EngineError::Unsupported {
        what: "inserting these rows at once".to_owned(),
        why: "insert them one by one".to_owned(),
    }
}
