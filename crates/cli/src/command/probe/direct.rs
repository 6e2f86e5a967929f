//! The database opened plainly, in this process, by the engine's own library: no broker, and none of dbmux's locks.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arrow::array::RecordBatch;
use dbmux_engine::{Access, Engine, EngineError, EngineSession, PreparedId, SessionOptions};

use super::{
    connection::{CallError, Connection},
    dialect::Operation,
    job::Job,
};
use crate::{args::EngineArg, engine};

/// How long SQLite waits for others here: what Python's `sqlite3` waits unless told otherwise.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// An engine that has not opened the database yet.
pub(super) struct Direct(Arc<dyn Engine>);

impl Direct {
    /// Opens nothing.
    pub(super) fn new(job: &Job) -> Result<Self, EngineError> {
        let unknown = || EngineError::Internal { message: format!("there is no engine called {}", job.engine) };
        start(engine::named(&job.engine).ok_or_else(unknown)?, job).map(Self)
    }

    /// Opens the database, and a connection.
    pub(super) fn connect(&self, writes: bool) -> Result<Box<dyn Connection>, CallError> {
        self.open(writes).map(|direct| Box::new(direct) as Box<dyn Connection>)
    }

    /// The same, for the seed too.
    pub(super) fn open(&self, writes: bool) -> Result<DirectSession, CallError> {
        let access = if writes { Access::ReadWrite } else { Access::ReadOnly };
        self.0.attach(access)?;
        let options = SessionOptions { read_only: !writes, ..SessionOptions::default() };
        let session = self.0.open_session(&options)?;
        Ok(DirectSession { engine: Arc::clone(&self.0), session, prepared: HashMap::new() })
    }
}

/// The engines as they are without dbmux.
fn start(engine: EngineArg, job: &Job) -> Result<Arc<dyn Engine>, EngineError> {
    let path = job.database.clone();
    match engine {
        #[cfg(feature = "duckdb")]
        EngineArg::Duckdb => {
            Ok(Arc::new(dbmux_duckdb::DuckDbEngine::new(path, dbmux_duckdb::DuckDbOptions::default())?))
        }
        #[cfg(feature = "sqlite")]
        EngineArg::Sqlite => {
            let options =
                dbmux_sqlite::SqliteOptions { busy_timeout: BUSY_TIMEOUT, ..dbmux_sqlite::SqliteOptions::default() };
            Ok(Arc::new(dbmux_sqlite::SqliteEngine::new(path, options)))
        }
        // LanceDB itself syncs nothing, and leaves conflicts to its caller.
        #[cfg(feature = "lance")]
        EngineArg::Lance => Ok(Arc::new(dbmux_lance::LanceEngine::new(
            path,
            dbmux_lance::LanceOptions { sync: false, as_owner: false },
        )?)),
        #[cfg(not(all(feature = "duckdb", feature = "sqlite", feature = "lance")))]
        _ => {
            let why = format!("this dbmux was built without {}", engine.title());
            Err(EngineError::Unsupported { what: path.display().to_string(), why })
        }
    }
}

/// A connection in this process. What it ran before it does not prepare again.
pub(super) struct DirectSession {
    engine: Arc<dyn Engine>,
    session: Box<dyn EngineSession>,
    prepared: HashMap<Arc<str>, PreparedId>,
}

impl DirectSession {
    /// Inserts many rows at once, where the engine can; else one by one.
    pub(super) fn insert_all(&mut self, rows: &[Operation]) -> Result<(), CallError> {
        let Some(first) = rows.first() else { return Ok(()) };
        if let Some(shape) = self.engine.insert_shape(&first.text) {
            let together: Vec<_> = rows.iter().map(|row| (&*row.text, row.parameters.as_ref())).collect();
            match self.session.insert_many(&shape, &together) {
                Err(EngineError::Unsupported { .. }) => {}
                done => return Ok(done.map(drop)?),
            }
        }
        rows.iter().try_for_each(|row| self.run(row).map(drop))
    }

    /// Closes the database, with everything in it that was committed.
    pub(super) fn close(self) -> Result<(), CallError> {
        let Self { engine, session, .. } = self;
        drop(session);
        Ok(engine.release()?)
    }
}

impl Connection for DirectSession {
    fn run(&mut self, operation: &Operation) -> Result<Vec<RecordBatch>, CallError> {
        let prepared = match self.prepared.get(&operation.text) {
            Some(prepared) => *prepared,
            None => {
                let prepared = self.session.prepare(&operation.text)?.id;
                self.prepared.insert(Arc::clone(&operation.text), prepared);
                prepared
            }
        };
        let mut rows = self.session.execute(prepared, operation.parameters.as_ref(), false)?;
        let mut batches = Vec::new();
        while let Some(batch) = rows.next()? {
            batches.push(batch);
        }
        Ok(batches)
    }
}

impl From<EngineError> for CallError {
    fn from(error: EngineError) -> Self {
        // Its own words, as any program hears them.
        match error {
            EngineError::Locked { message, .. } => Self::new(message),
            // LanceDB has several words for it.
            EngineError::Conflict { message } if !message.contains("conflict") => {
                Self::new(format!("conflict: {message}"))
            }
            other => Self::new(other.to_string()),
        }
    }
}
