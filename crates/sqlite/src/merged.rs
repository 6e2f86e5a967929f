//! Many rows in one transaction: those of many single-row inserts, and those of one statement that is given many.
//!
//! Each row's own statement runs: what it does alone, with its triggers, defaults and conversions, it does here. All
//! succeed, or none has happened, and the error is the first one's.

use std::sync::Arc;

use dbmux_engine::{EngineError, InsertShape, Parameters, insert};

use crate::{
    connection::Connection,
    ffi::Statement,
    parameters::{self, Bind},
};

/// Inserts a row for each statement. Answers with how many rows each has changed: a table may itself say that a row is to be
/// ignored.
pub(crate) fn insert(
    connection: &mut Connection,
    shape: &InsertShape,
    rows: &[(&str, Option<&Parameters>)],
) -> Result<Vec<i64>, EngineError> {
    let fits = |(sql, _): &(&str, _)| insert::recognise(sql).is_some_and(|insert| insert.shape == *shape);
    if !rows.iter().all(fits) {
        return Err(declined());
    }
    all_or_none(connection, &TRANSACTION, |connection| {
        rows.iter().map(|(sql, parameters)| row(connection, sql, *parameters)).collect()
    })
}

/// Runs a statement that changes rows once for each row of parameters. Answers with how many it has changed.
pub(crate) fn each(connection: &mut Connection, sql: &Arc<str>, rows: &Parameters) -> Result<i64, EngineError> {
    all_or_none(connection, &SAVEPOINT, |connection| all(connection, sql, rows))
}

/// How several rows begin and end as one.
struct Bracket {
    begin: &'static str,
    commit: &'static str,
    rollback: &'static [&'static str],
}

const TRANSACTION: Bracket = Bracket { begin: "BEGIN IMMEDIATE", commit: "COMMIT", rollback: &["ROLLBACK"] };

/// In the session's transaction, if it has one; by itself, if not.
const SAVEPOINT: Bracket = Bracket {
    begin: "SAVEPOINT dbmux_rows",
    commit: "RELEASE dbmux_rows",
    rollback: &["ROLLBACK TO dbmux_rows", "RELEASE dbmux_rows"],
};

fn all_or_none<T>(
    connection: &mut Connection,
    bracket: &Bracket,
    work: impl FnOnce(&mut Connection) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    run(connection, bracket.begin)?;
    let done = work(connection).and_then(|done| run(connection, bracket.commit).map(|()| done));
    // Some failures have rolled back by themselves.
    if done.is_err() && !connection.handle.is_autocommit() {
        bracket.rollback.iter().try_for_each(|sql| until_not_interrupted(|| run(connection, sql)))?;
    }
    done
}

/// An interrupt is of the work that failed: what ends it is done all the same.
fn until_not_interrupted(mut work: impl FnMut() -> Result<(), EngineError>) -> Result<(), EngineError> {
    loop {
        match work() {
            Err(EngineError::Interrupted) => {}
            outcome => return outcome,
        }
    }
}

fn all(connection: &mut Connection, sql: &Arc<str>, rows: &Parameters) -> Result<i64, EngineError> {
    let mut count = 0;
    for row in 0..rows.num_rows() {
        let mut statement = connection.statement(sql)?;
        bind(connection, &mut statement, Some(&rows.slice(row, 1)))?;
        while statement.step().map_err(|failure| connection.error(&failure))? {}
        count += connection.handle.changes();
        connection.keep(sql, statement);
    }
    Ok(count)
}

fn bind(connection: &Connection, statement: &mut Statement, row: Option<&Parameters>) -> Result<(), EngineError> {
    parameters::bind(statement, row).map_err(|error| match error {
        Bind::Engine(error) => error,
        Bind::Failed(failure) => connection.error(&failure),
    })
}

fn row(connection: &mut Connection, sql: &str, parameters: Option<&Parameters>) -> Result<i64, EngineError> {
    let mut statement = connection.statement(sql)?;
    bind(connection, &mut statement, parameters)?;
    if statement.step().map_err(|failure| connection.error(&failure))? {
        return Err(declined());
    }
    let changed = connection.handle.changes();
    // Those with parameters come again; of the others each is another one.
    if parameters.is_some() {
        connection.keep(&Arc::from(sql), statement);
    }
    Ok(changed)
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
