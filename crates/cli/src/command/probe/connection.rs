//! A worker's one connection: to the engine in its own process, or to dbmux.

use arrow::array::RecordBatch;
use dbmux_client::{
    ClientError, ClientOptions, Statement,
    blocking::{Client, Session},
};

use super::{
    dialect::Operation,
    direct::Direct,
    job::{Job, Mode},
};

/// How a call failed.
#[derive(Debug)]
pub(super) struct CallError {
    /// In the words of whoever failed.
    pub(super) text: String,
    /// It may have happened.
    pub(super) in_doubt: bool,
}

impl CallError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), in_doubt: false }
    }
}

impl From<ClientError> for CallError {
    fn from(error: ClientError) -> Self {
        Self { text: error.to_string(), in_doubt: error.is_outcome_unknown() }
    }
}

/// A way to the database, on which one call runs at a time.
pub(super) trait Connection {
    /// Runs one call, to the end of its answer.
    ///
    /// # Errors
    /// Whatever the engine, or dbmux, says.
    fn run(&mut self, operation: &Operation) -> Result<Vec<RecordBatch>, CallError>;
}

/// Tries to connect, as often as asked.
pub(super) enum Door {
    Direct(Direct),
    Dbmux(Client),
}

impl Door {
    /// Opens nothing.
    ///
    /// # Errors
    /// When there is nothing to try.
    pub(super) fn new(job: &Job) -> Result<Self, CallError> {
        match job.mode {
            Mode::Direct => Ok(Self::Direct(Direct::new(job).map_err(|error| CallError::new(error.to_string()))?)),
            Mode::Dbmux => Ok(Self::Dbmux(Client::open(&job.database, options(&job.engine))?)),
        }
    }

    /// Connects, once.
    ///
    /// # Errors
    /// Whatever the engine, or dbmux, says.
    pub(super) fn connect(&self, writes: bool) -> Result<Box<dyn Connection>, CallError> {
        match self {
            Self::Direct(direct) => direct.connect(writes),
            Self::Dbmux(client) => Ok(Box::new(client.session()?)),
        }
    }
}

/// The probe's clients start brokers that do not outlive it for long, whatever becomes of it.
pub(super) fn options(engine: &str) -> ClientOptions {
    let broker_arguments = vec!["--idle-exit".into(), "10s".into()];
    ClientOptions { broker_arguments, engine: Some(engine.to_owned()), ..ClientOptions::default() }
}

impl Connection for Session {
    fn run(&mut self, operation: &Operation) -> Result<Vec<RecordBatch>, CallError> {
        Ok(Self::run(self, statement(operation))?.collect()?)
    }
}

/// As clients say it.
fn statement(operation: &Operation) -> Statement {
    let statement = Statement::new(&*operation.text);
    match &operation.parameters {
        // What goes with an operation of LanceDB's is its rows.
        Some(rows) if operation.text.starts_with('{') => statement.rows(rows.clone()),
        Some(parameters) => statement.parameters(parameters.clone()),
        None => statement,
    }
}
