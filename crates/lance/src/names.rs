//! Names of columns, looked up before anything is done with them.

use dbmux_engine::EngineError;
use lancedb::{Table, arrow::arrow_schema::Schema};

use crate::errors;

/// Columns that searches make.
const MADE: [&str; 5] = ["_rowid", "_rowaddr", "_distance", "_score", "_relevance_score"];

/// Refuses names that a table has no column of.
pub(crate) async fn known<'a>(table: &Table, names: impl Iterator<Item = &'a str>) -> Result<(), EngineError> {
    let schema = table.schema().await.map_err(|error| errors::of(&error, table.name().as_ref()))?;
    for name in names {
        check(&schema, table.name(), name, false)?;
    }
    Ok(())
}

/// Refuses a name that a table has no column of, and no search makes where `made` is set.
pub(crate) fn check(schema: &Schema, table: &str, name: &str, made: bool) -> Result<(), EngineError> {
    if made && MADE.contains(&name) {
        return Ok(());
    }
    // `a.b` is the field of a struct.
    let column = name.split('.').next().unwrap_or(name);
    if schema.column_with_name(name).is_some() || schema.column_with_name(column).is_some() {
        return Ok(());
    }
    let columns: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let message = format!("\"{table}\" has no column \"{name}\"; it has {}", columns.join(", "));
    Err(errors::sql("42703", message))
}
