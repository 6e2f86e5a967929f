//! A statement, and what its text alone tells.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use arrow::array::RecordBatch;

use crate::{Priority, Value};

/// Statements are numbered through the process: unique in each of its sessions.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A statement to run.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(crate) id: u64,
    pub(crate) sql: String,
    pub(crate) values: Vec<(Option<String>, Value)>,
    pub(crate) batch: Option<RecordBatch>,
    pub(crate) wait: Option<Duration>,
    pub(crate) priority: Option<Priority>,
    pub(crate) read_only: bool,
}

impl Statement {
    /// A statement with this text.
    pub fn new(sql: impl Into<String>) -> Self {
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            sql: sql.into(),
            values: Vec::new(),
            batch: None,
            wait: None,
            priority: None,
            read_only: false,
        }
    }

    /// Its number: what [`crate::Session::watch`] and [`crate::Session::cancel`] take.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Gives the next of `$1`, `$2`, … (or `?`) its value.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push((None, value.into()));
        self
    }

    /// Gives `$name` its value.
    #[must_use]
    pub fn bind_named(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.values.push((Some(name.into()), value.into()));
        self
    }

    /// Gives all parameters their values: a batch of one row, matched by position where its columns are called `1`, `2`,
    /// …, else by name.
    #[must_use]
    pub fn parameters(mut self, batch: RecordBatch) -> Self {
        self.batch = Some(batch);
        self
    }

    /// Waits this long for others, instead of what the client's options say. Zero never waits.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Goes before, or after, others who wait.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Refuses to write. Such a statement is sent again when the broker goes away under it.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }
}

impl<T: Into<String>> From<T> for Statement {
    fn from(sql: T) -> Self {
        Self::new(sql)
    }
}

/// What a statement's text tells of it. Never trusted for safety: only for what may be tried again *as a read*, and for
/// whether a session has state that would be lost with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Looks as if it only read.
    Read,
    /// Writes, and leaves nothing behind in the session.
    Write,
    /// Begins a transaction.
    Begin,
    /// Ends a transaction.
    End,
    /// May leave something behind in the session.
    Stateful,
}

impl Shape {
    pub(crate) fn of(sql: &str) -> Self {
        let mut words = words(sql);
        let first = words.next().unwrap_or_default();
        if has_more_than_one(sql) {
            return Self::Stateful;
        }
        match first.as_str() {
            "SELECT" | "FROM" | "WITH" | "VALUES" | "SHOW" | "DESCRIBE" | "DESC" | "SUMMARIZE" | "EXPLAIN"
            | "TABLE" => Self::Read,
            "BEGIN" | "START" => Self::Begin,
            "COMMIT" | "END" | "ROLLBACK" | "ABORT" => Self::End,
            "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "DROP" | "ALTER" | "COPY" | "TRUNCATE" | "CHECKPOINT"
            | "VACUUM" | "ANALYZE" | "COMMENT" | "EXPORT" | "IMPORT" => Self::Write,
            "CREATE" => {
                let temporary = words.take(4).any(|word| word == "TEMP" || word == "TEMPORARY" || word == "SECRET");
                if temporary { Self::Stateful } else { Self::Write }
            }
            _ => Self::Stateful,
        }
    }
}

/// The first words, in capitals; comments and opening parentheses are passed over.
fn words(sql: &str) -> impl Iterator<Item = String> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        rest = skip(rest);
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        (!word.is_empty()).then(|| word.to_uppercase())
    })
}

fn skip(mut sql: &str) -> &str {
    loop {
        sql = sql.trim_start_matches(|c: char| c.is_whitespace() || c == '(' || c == ';');
        if sql.starts_with("--") {
            sql = sql.split_once('\n').map_or("", |(_, rest)| rest);
        } else if sql.starts_with("/*") {
            sql = sql.split_once("*/").map_or("", |(_, rest)| rest);
        } else {
            return sql;
        }
    }
}

/// Errs on the side of "yes": a semicolon in a string makes it say so too.
fn has_more_than_one(sql: &str) -> bool {
    sql.trim_end().trim_end_matches(';').contains(';')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_reads_writes_and_what_leaves_state() {
        for (sql, shape) in [
            ("select 1", Shape::Read),
            ("  -- note\n /* x */ (SELECT 1)", Shape::Read),
            ("from t;", Shape::Read),
            ("insert into t values (1)", Shape::Write),
            ("create table t (a int)", Shape::Write),
            ("create or replace temp table t (a int)", Shape::Stateful),
            ("begin", Shape::Begin),
            ("commit;", Shape::End),
            ("set threads = 1", Shape::Stateful),
            ("select 1; set x = 2", Shape::Stateful),
            ("", Shape::Stateful),
        ] {
            assert_eq!(Shape::of(sql), shape, "{sql}");
        }
    }
}
