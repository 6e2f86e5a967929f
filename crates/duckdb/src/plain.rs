//! DuckDB without dbmux: what any program does that links it. For comparisons only, in a process that has no broker.

use std::{path::Path, sync::Arc};

use dbmux_engine::EngineError;

use crate::{errors, ffi::Instance, name::catalog_name};

/// Opens the file, runs statements, and closes it again. Answers with the rows of the last one: those that it gave, or
/// those that it changed.
///
/// # Errors
/// Whatever DuckDB says: that another process has the file, above all.
pub fn run(path: &Path, read_only: bool, sql: &str) -> Result<u64, EngineError> {
    let Some(text) = path.to_str() else {
        return Err(EngineError::NotFound { path: path.to_owned() });
    };
    let instance = Arc::new(Instance::start(&[]).map_err(|failure| errors::internal(&failure))?);
    let options = [("type", "duckdb".to_owned()), ("read_only", read_only.to_string())];
    let (name, _) = catalog_name(path);
    instance.attach(&name, text, &options).map_err(|failure| errors::attach(&failure, path))?;
    let connection = instance.connect().map_err(|failure| errors::internal(&failure))?;
    let mut rows = 0;
    for statement in connection.parse(sql).map_err(|failure| errors::statement(&failure))? {
        let result = statement.execute(&connection, &[], 0).map_err(|failure| errors::statement(&failure))?;
        rows = count(result).map_err(|failure| errors::statement(&failure))?;
    }
    Ok(rows)
}

fn count(mut result: crate::ffi::ArrowResult) -> Result<u64, crate::ffi::Failure> {
    let schema = match (result.kind()?, result.schema()?) {
        (Some(crate::ffi::ResultKind::Rows), Some(schema)) => schema,
        _ => return result.drain(),
    };
    let mut rows = 0;
    while let Some(batch) = result.next(&schema)? {
        rows += batch.num_rows() as u64;
    }
    Ok(rows)
}
