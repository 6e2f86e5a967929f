//! SQLite without dbmux: what any program does that links it. For comparisons only, in a process that has no broker.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use dbmux_engine::EngineError;
use rusqlite::{OpenFlags, types::ValueRef};

use crate::{
    errors,
    ffi::{Failure, Handle, Statement},
};

/// A connection of its own to a file, with the vector functions.
pub struct Connection {
    handle: Arc<Handle>,
    path: PathBuf,
}

/// A statement that is kept.
pub struct Prepared {
    statement: Statement,
    path: PathBuf,
}

/// A value, given or read.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `NULL`.
    Null,
    /// A whole number.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes; of the vector functions, 32-bit floats.
    Blob(Vec<u8>),
}

impl Connection {
    /// Opens the file, or makes it, as one does who minds what he writes: WAL, `synchronous=FULL`, and a wait so long for
    /// other writers.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn open(path: &Path, busy: Duration) -> Result<Self, EngineError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let handle = Handle::open(path, flags).map_err(|failure| errors::of(&failure, path))?;
        let set = |connection: &mut rusqlite::Connection| {
            connection.busy_timeout(busy)?;
            connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        };
        handle.with(set).map_err(|error| errors::of(&Failure::from(error), path))?;
        Ok(Self { handle: Arc::new(handle), path: path.to_owned() })
    }

    /// Runs statements that need no parameters and give no rows.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn run(&self, sql: &str) -> Result<(), EngineError> {
        let ran = self.handle.with(|connection| connection.execute_batch(sql));
        ran.map_err(|error| errors::of(&Failure::from(error), &self.path))
    }

    /// Prepares the first statement of a text.
    ///
    /// # Errors
    /// Whatever SQLite says.
    pub fn prepare(&self, sql: &str) -> Result<Prepared, EngineError> {
        let (statement, _) =
            Statement::prepare(&self.handle, sql).map_err(|failure| errors::of(&failure, &self.path))?;
        let statement = statement.ok_or_else(|| errors::sql("there is no statement in this text", "42601"))?;
        Ok(Prepared { statement, path: self.path.clone() })
    }
}

impl Prepared {
    /// Runs it to its end. Answers with its rows.
    ///
    /// # Errors
    /// Whatever SQLite says: [`EngineError::Locked`] when it has waited long enough for another writer.
    pub fn run(&mut self, values: &[Value]) -> Result<Vec<Vec<Value>>, EngineError> {
        let rows = self.rows(values);
        self.statement.reset();
        rows.map_err(|failure| errors::of(&failure, &self.path))
    }

    fn rows(&mut self, values: &[Value]) -> Result<Vec<Vec<Value>>, Failure> {
        for (index, value) in values.iter().enumerate() {
            self.statement.bind(index + 1, value.as_ref())?;
        }
        let mut rows = Vec::new();
        let columns = self.statement.column_count();
        while self.statement.step()? {
            rows.push((0..columns).map(|column| Value::read(self.statement.value(column))).collect());
        }
        Ok(rows)
    }
}

impl Value {
    fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }

    fn read(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(text) => Self::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_owned()),
        }
    }
}
