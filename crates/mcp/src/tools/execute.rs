//! `execute`: statements that write.

use std::sync::Arc;

use dbmux_client::{Session, Statement, StatementKind};
use dbmux_report::person;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    arguments::{bound, given, waiting},
    rows::{self, ROWS, Rows},
};
use crate::{
    call::Call,
    cursors::Found,
    failure::Failure,
    reply::Reply,
    server::Shared,
    statement::{self, Waited},
};

/// What to write.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Execute {
    /// One SQL statement.
    sql: Option<String>,
    /// Values for `?`, or for `$1`, `$2`, … in `sql`.
    #[serde(default, deserialize_with = "given")]
    parameters: Vec<Value>,
    /// Instead of `sql`: several statements as one transaction, of which all happen or none.
    #[serde(default, deserialize_with = "given")]
    statements: Vec<String>,
    /// The database, by its name as list_databases tells it, or by its path. Not needed where there is only one.
    database: Option<String>,
    /// Seconds to wait for others who have the file. 0 never waits.
    wait: Option<f64>,
}

/// What was written.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Executed {
    database: String,
    /// Rows that each statement has changed; 0 where that means nothing.
    rows_changed: Vec<u64>,
    /// What statements answered with, as RETURNING has them do: the first 100 rows of each. For those behind them call query
    /// with the next_cursor.
    returned: Vec<Returned>,
    /// Set where somebody was waited for.
    waited: Option<Waited>,
}

/// The rows that a statement answered with.
#[derive(Debug, Serialize, JsonSchema)]
struct Returned {
    /// Which one it was, counted from 1.
    statement: usize,
    #[serde(flatten)]
    rows: Rows,
}

pub(super) async fn run(shared: Arc<Shared>, execute: Execute, call: Call) -> Result<Reply<Executed>, Failure> {
    let several = !execute.statements.is_empty();
    let statements = statements(execute.sql, execute.statements, execute.parameters)?;
    let statements: Vec<_> =
        statements.into_iter().map(|statement| waiting(statement, execute.wait)).collect::<Result<_, _>>()?;
    let database = shared.databases.find(execute.database.as_deref())?;
    let client = shared.databases.client(database, call.caller().as_deref())?;
    let session = statement::session(&call, &client).await?;
    let (call, session) = (&call, &session);
    let mut work = Work { call, session, database: &database.name, done: Vec::new(), waited: None };
    if several {
        work.together(statements, waiting(Statement::new("BEGIN TRANSACTION"), execute.wait)?).await?;
    } else {
        work.alone(statements).await?;
    }
    let Work { done, waited, .. } = work;
    let rows_changed: Vec<u64> = done.iter().map(|done| done.changed).collect();
    let mut text = format!("done: {} changed", person::rows(rows_changed.iter().sum()));
    let mut returned = Vec::new();
    for (index, found) in done.into_iter().enumerate().filter_map(|(index, done)| Some((index, done.answered?))) {
        let rows = rows::page(&shared.cursors, &Arc::new(found), (0, ROWS), None, None)?;
        text.push_str(&format!("\n{}", rows.text()));
        returned.push(Returned { statement: index + 1, rows });
    }
    Ok(Reply::new(text, Executed { database: database.name.clone(), rows_changed, returned, waited }))
}

fn statements(sql: Option<String>, several: Vec<String>, parameters: Vec<Value>) -> Result<Vec<Statement>, Failure> {
    match (sql, several.is_empty()) {
        (Some(sql), true) => Ok(vec![bound(Statement::new(sql), parameters)?]),
        (None, false) if !parameters.is_empty() => {
            Err(Failure::usage("\"parameters\" are those of \"sql\"", "call execute once for each"))
        }
        (None, false) => match several.iter().position(|sql| controls_transactions(sql)) {
            Some(index) => Err(Failure::usage(
                format!("statement {} begins or ends a transaction", index + 1),
                "leave it out: they are one already",
            )),
            None => Ok(several.into_iter().map(Statement::new).collect()),
        },
        _ => Err(Failure::usage("give either \"sql\" or \"statements\"", "")),
    }
}

/// By its first word: whoever means to break his own transaction finds a way, and is told what became of it.
fn controls_transactions(sql: &str) -> bool {
    let word: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    let words = ["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"];
    words.iter().any(|control| word.eq_ignore_ascii_case(control))
}

/// What was done so far.
struct Work<'a> {
    call: &'a Call,
    session: &'a Session,
    database: &'a str,
    done: Vec<Done>,
    waited: Option<Waited>,
}

/// What became of a statement.
struct Done {
    changed: u64,
    /// The rows that it answered with.
    answered: Option<Found>,
}

impl Work<'_> {
    async fn alone(&mut self, statements: Vec<Statement>) -> Result<(), Failure> {
        for statement in statements {
            let done = self.one(statement).await?;
            self.done.push(done);
        }
        if !self.session.may_be_in_transaction() {
            return Ok(());
        }
        // The session is nobody's behind this call: what it has open is lost, and must not be taken for done.
        self.session.execute("ROLLBACK").await?;
        let hint = "give the statements of a transaction as \"statements\"";
        Err(Failure::usage("the statement left a transaction open, which was rolled back", hint))
    }

    async fn together(&mut self, statements: Vec<Statement>, begin: Statement) -> Result<(), Failure> {
        self.one(begin).await?;
        for (index, statement) in statements.into_iter().enumerate() {
            let failure = match self.one(statement).await {
                Ok(done) if self.session.may_be_in_transaction() => {
                    self.done.push(done);
                    continue;
                }
                Ok(_) => Failure::usage("it ended the transaction", "what was before it may have happened: look"),
                Err(failure) => failure,
            };
            let open = self.session.may_be_in_transaction();
            let failure = failure.at_statement(index + 1);
            return Err(match self.session.execute("ROLLBACK").await {
                Ok(_) if open => failure.with_nothing_done(),
                // The session's end rolls it back, too.
                _ => failure,
            });
        }
        self.session.execute("COMMIT").await?;
        Ok(())
    }

    /// Runs a statement to its end.
    async fn one(&mut self, statement: Statement) -> Result<Done, Failure> {
        let (answer, waited) = statement::run(self.call, self.session, statement).await?;
        self.waited = self.waited.take().or(waited);
        let (writes, rows) = (answer.kind() != StatementKind::Read, !answer.schema().fields().is_empty());
        self.call
            .unless_cancelled(async {
                if answer.rows_changed() || !rows {
                    return Ok(Done { changed: answer.changed().await?, answered: None });
                }
                let (found, all) = rows::read_to_end(self.database, answer).await?;
                Ok(Done { changed: if writes { all } else { 0 }, answered: Some(found) })
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_transactions_is_known_by_its_first_word() {
        for sql in ["COMMIT", " begin;", "Rollback to x", "START TRANSACTION", "end"] {
            assert!(controls_transactions(sql), "{sql}");
        }
        for sql in ["INSERT INTO t VALUES ('; COMMIT')", "SELECT 1", "", "ENDING"] {
            assert!(!controls_transactions(sql), "{sql}");
        }
    }
}
