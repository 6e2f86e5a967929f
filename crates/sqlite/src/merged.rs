//! Many rows in one transaction: those of many single-row inserts, and those of one statement that is given many.
//!
//! What each row does alone, with its triggers, defaults and conversions, it does here. All succeed, or none has happened,
//! and the error is the first one's. Rows of plain inserts are written as one statement; where that would not be the same,
//! each row's own statement runs.

use std::sync::Arc;

use dbmux_engine::{EngineError, InsertShape, Parameters, insert::recognise as plain};

use crate::{
    connection::Connection,
    parameters,
    together::{self, Row},
};

/// Inserts a row for each statement. Answers with how many rows each has changed: a table may itself say that a row is to be
/// ignored.
pub(crate) fn insert(
    connection: &mut Connection,
    shape: &InsertShape,
    rows: &[(&str, Option<&Parameters>)],
) -> Result<Vec<i64>, EngineError> {
    let inserts: Option<Vec<_>> = rows.iter().map(|(sql, _)| plain(sql).filter(|it| it.shape == *shape)).collect();
    let inserts = inserts.ok_or_else(declined)?;
    all_or_none(connection, &TRANSACTION, |connection| {
        let together = inserts.iter().zip(rows).map(|(insert, (_, parameters))| Row::of(insert, *parameters));
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        // Of fewer it is not known which.
        if as_one(connection, shape, together.collect(), |made| made == count)?.is_some() {
            return Ok(vec![1; rows.len()]);
        }
        rows.iter().map(|(sql, parameters)| row(connection, sql, *parameters)).collect()
    })
}

/// Runs a statement that changes rows once for each row of parameters. Answers with how many it has changed.
pub(crate) fn each(connection: &mut Connection, sql: &Arc<str>, rows: &Parameters) -> Result<i64, EngineError> {
    let rows: Vec<_> = (0..rows.num_rows()).map(|row| rows.slice(row, 1)).collect();
    // In a transaction somebody may ask what its last statement was; and a row may not refer to a later one.
    let may_be_one = connection.handle.is_autocommit() && !connection.checks_foreign_keys()?;
    let insert = plain(sql).filter(|_| may_be_one);
    all_or_none(connection, &SAVEPOINT, |connection| {
        if let Some(insert) = &insert {
            let together = rows.iter().map(|parameters| Row::of(insert, Some(parameters)));
            if let Some(made) = as_one(connection, &insert.shape, together.collect(), |_| true)? {
                return Ok(made);
            }
        }
        rows.iter().map(|parameters| row(connection, sql, Some(parameters))).sum()
    })
}

/// Inserts rows as one statement, if all of them can be, and answers with how many rows that made. `None`: nothing has
/// happened; the number was not right, or it is not the same as one by one.
fn as_one(
    connection: &mut Connection,
    shape: &InsertShape,
    rows: Option<Vec<Row<'_>>>,
    is_right: impl FnOnce(i64) -> bool,
) -> Result<Option<i64>, EngineError> {
    let Some(rows) = rows.filter(|rows| rows.len() > 1 && !connection.takes_rows_apart()) else { return Ok(None) };
    run(connection, "SAVEPOINT dbmux_as_one")?;
    let made = together::insert(connection, shape, &rows)?.filter(|made| is_right(*made));
    if made.is_none() {
        connection.take_rows_apart();
        run(connection, "ROLLBACK TO dbmux_as_one")?;
    }
    run(connection, "RELEASE dbmux_as_one")?;
    Ok(made)
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

fn row(connection: &mut Connection, sql: &str, parameters: Option<&Parameters>) -> Result<i64, EngineError> {
    let mut statement = connection.statement(sql)?;
    parameters::bind(&mut statement, parameters).map_err(|error| connection.bind_error(error))?;
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
