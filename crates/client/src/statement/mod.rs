//! A statement to run.

mod encode;
mod shape;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use arrow::array::RecordBatch;

pub(crate) use self::{encode::encode, shape::Shape};
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
    /// The batch is rows for the statement to take, any number of them.
    pub(crate) takes_rows: bool,
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
            takes_rows: false,
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

    /// Gives all parameters their values, instead of [`Statement::bind`]: a batch of one row, matched by position where its
    /// columns are called `1`, `2`, …, else by name.
    #[must_use]
    pub fn parameters(mut self, batch: RecordBatch) -> Self {
        (self.batch, self.takes_rows) = (Some(batch), false);
        self
    }

    /// Gives a statement its rows. One of SQLite runs once for each row of parameters, for all of them or for none, and answers
    /// with how many rows all of them have changed; an operation of LanceDB (`add`, `merge_insert`, `create_table`) takes them
    /// as what it writes. All of them are sent at once: 64 MiB at most.
    ///
    /// DuckDB refuses more than one row, and says so.
    #[must_use]
    pub fn rows(mut self, batch: RecordBatch) -> Self {
        (self.batch, self.takes_rows) = (Some(batch), true);
        self
    }

    /// Waits this long for others, instead of what the client's options say. Zero never waits. The time that the
    /// statement itself takes is not limited.
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

    /// Refuses to write. Such a statement may be sent once more when the broker goes away under it; see
    /// [`crate::Session::run`].
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
