//! DuckDB without dbmux: what any program does that links it. For comparisons only, in a process that has no broker.

use std::{path::Path, sync::Arc};

use arrow::array::RecordBatch;
use dbmux_engine::EngineError;

use crate::{errors, ffi, name::catalog_name};

/// Rows of a batch that [`Connection::query`] gives: DuckDB's own row groups.
const BATCH_ROWS: u64 = 122_880;

/// A file that this process has opened, until this and its connections are dropped.
pub struct Database {
    instance: Arc<ffi::Instance>,
}

impl Database {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// Whatever DuckDB says: that another process has the file, above all.
    pub fn open(path: &Path, read_only: bool) -> Result<Self, EngineError> {
        let Some(text) = path.to_str() else {
            return Err(EngineError::NotFound { path: path.to_owned() });
        };
        let instance = Arc::new(ffi::Instance::start(&[]).map_err(|failure| errors::internal(&failure))?);
        let options = [("type", "duckdb".to_owned()), ("read_only", read_only.to_string())];
        let (name, _) = catalog_name(path);
        instance.attach(&name, text, &options).map_err(|failure| errors::attach(&failure, path))?;
        Ok(Self { instance })
    }

    /// Opens a connection, for one thread.
    ///
    /// # Errors
    /// When DuckDB has no more memory.
    pub fn connect(&self) -> Result<Connection, EngineError> {
        self.instance.connect().map(Connection).map_err(|failure| errors::internal(&failure))
    }
}

/// A connection to it.
pub struct Connection(ffi::Connection);

impl Connection {
    /// Runs statements. Answers with the rows of the last one: those that it gave, or those that it changed.
    ///
    /// # Errors
    /// Whatever DuckDB says.
    pub fn run(&self, sql: &str) -> Result<u64, EngineError> {
        let mut rows = 0;
        for statement in self.0.parse(sql).map_err(|failure| errors::statement(&failure))? {
            let result = statement.execute(&self.0, &[], 0).map_err(|failure| errors::statement(&failure))?;
            rows = count(result).map_err(|failure| errors::statement(&failure))?;
        }
        Ok(rows)
    }

    /// Runs one query. Answers with all its rows.
    ///
    /// # Errors
    /// Whatever DuckDB says.
    pub fn query(&self, sql: &str) -> Result<Vec<RecordBatch>, EngineError> {
        let mut batches = Vec::new();
        for statement in self.0.parse(sql).map_err(|failure| errors::statement(&failure))? {
            let mut result =
                statement.execute(&self.0, &[], BATCH_ROWS).map_err(|failure| errors::statement(&failure))?;
            let Some(schema) = result.schema().map_err(|failure| errors::statement(&failure))? else { continue };
            while let Some(batch) = result.next(&schema).map_err(|failure| errors::statement(&failure))? {
                batches.push(batch);
            }
        }
        Ok(batches)
    }
}

/// Opens the file, runs statements, and closes it again. Answers with the rows of the last one, as [`Connection::run`].
///
/// # Errors
/// Whatever DuckDB says: that another process has the file, above all.
pub fn run(path: &Path, read_only: bool, sql: &str) -> Result<u64, EngineError> {
    Database::open(path, read_only)?.connect()?.run(sql)
}

fn count(mut result: ffi::ArrowResult) -> Result<u64, ffi::Failure> {
    let schema = match (result.kind()?, result.schema()?) {
        (Some(ffi::ResultKind::Rows), Some(schema)) => schema,
        _ => return result.drain(),
    };
    let mut rows = 0;
    while let Some(batch) = result.next(&schema)? {
        rows += batch.num_rows() as u64;
    }
    Ok(rows)
}
