//! `query`: rows of a statement that reads.

use std::sync::Arc;

use dbmux_client::Statement;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    arguments::{bound, given, waiting},
    rows::{self, MOST_ROWS, ROWS, Rows},
};
use crate::{call::Call, databases::Database, failure::Failure, reply::Reply, server::Shared, statement};

/// What to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    /// One SQL statement that reads. Left out with a cursor.
    sql: Option<String>,
    /// The database, by its name as list_databases tells it, or by its path. Not needed where there is only one.
    database: Option<String>,
    /// Values for `?`, or for `$1`, `$2`, … in the statement.
    #[serde(default, deserialize_with = "given")]
    parameters: Vec<Value>,
    /// Rows to answer with: 100 where it is left out, from 1 to 10,000.
    limit: Option<usize>,
    /// Where the last answer went on: its next_cursor.
    cursor: Option<String>,
    /// Seconds to wait for others who have the file. 0 never waits.
    wait: Option<f64>,
}

pub(super) async fn run(shared: Arc<Shared>, query: Query, call: Call) -> Result<Reply<Rows>, Failure> {
    let most = query.limit.unwrap_or(ROWS).clamp(1, MOST_ROWS);
    let page = match (query.sql, query.cursor) {
        (None, Some(cursor)) => goes_on(&shared, &cursor, most)?,
        (Some(sql), None) => {
            let statement = bound(Statement::new(sql).read_only(true), query.parameters)?;
            let statement = waiting(statement, query.wait)?;
            reads(&shared, &call, shared.databases.find(query.database.as_deref())?, statement, most).await?
        }
        _ => return Err(Failure::usage("give either \"sql\" or \"cursor\"", "")),
    };
    Ok(Reply::new(page.text(), page))
}

/// The page that a cursor leads to.
pub(super) fn goes_on(shared: &Shared, cursor: &str, most: usize) -> Result<Rows, Failure> {
    let Some((found, from, number)) = shared.cursors.find(cursor) else {
        let hint = "run the query again: cursors are kept for the last few answers only";
        return Err(Failure::usage(format!("there is no cursor \"{cursor}\" any more"), hint));
    };
    rows::page(&shared.cursors, &found, (from, most), Some(number), None)
}

/// The first page of a statement's answer.
pub(super) async fn reads(
    shared: &Shared,
    call: &Call,
    database: &Database,
    statement: Statement,
    most: usize,
) -> Result<Rows, Failure> {
    let client = shared.databases.client(database, call.caller().as_deref())?;
    let session = statement::session(call, &client).await?;
    let (answer, waited) = statement::run(call, &session, statement).await?;
    let found = call.unless_cancelled(rows::read(&database.name, answer)).await?;
    rows::page(&shared.cursors, &Arc::new(found), (0, most), None, waited)
}
