//! The keys by which rows are merged into a table.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use dbmux_engine::EngineError;
use lancedb::arrow::{
    arrow::{
        compute::take_record_batch,
        row::{RowConverter, Rows, SortField},
    },
    arrow_array::{Array, ArrayRef, RecordBatch, UInt64Array},
};

use crate::errors;

/// The rows name each key once: which of two would stay is nobody's to say. One with a NULL equals nothing.
pub(crate) fn check_each_once(on: &[String], rows: &RecordBatch) -> Result<(), EngineError> {
    let columns = columns(on, rows)?;
    let keys = keys(&columns)?;
    let nulls: Vec<_> = columns.iter().filter_map(|column| column.logical_nulls()).collect();
    let is_null = |row: usize| nulls.iter().any(|nulls| nulls.is_null(row));
    let mut seen = HashSet::with_capacity(keys.num_rows());
    match keys.iter().enumerate().find(|(row, key)| !is_null(*row) && !seen.insert(*key)) {
        Some((row, _)) => {
            let message =
                format!("two of the rows have the same key ({}): the second is row {}", on.join(", "), row + 1);
            Err(errors::sql("21000", message))
        }
        None => Ok(()),
    }
}

/// Whether a key has a NULL, which equals nothing.
pub(crate) fn has_null(on: &[String], rows: &RecordBatch) -> Result<bool, EngineError> {
    Ok(columns(on, rows)?.iter().any(|column| column.logical_null_count() > 0))
}

/// The last row of each key: what stays of all of them, when they come one after the other.
pub(crate) fn last_of_each(on: &[String], rows: &RecordBatch) -> Result<RecordBatch, EngineError> {
    let keys = keys(&columns(on, rows)?)?;
    let mut last = HashMap::with_capacity(keys.num_rows());
    for (row, key) in keys.iter().enumerate() {
        last.insert(key, row as u64);
    }
    if last.len() == rows.num_rows() {
        return Ok(rows.clone());
    }
    let mut stays: Vec<_> = last.into_values().collect();
    stays.sort_unstable();
    take_record_batch(rows, &UInt64Array::from(stays)).map_err(|error| errors::internal(&error))
}

fn columns(on: &[String], rows: &RecordBatch) -> Result<Vec<ArrayRef>, EngineError> {
    if on.is_empty() {
        return Err(errors::sql("42601", "\"on\" names the columns of the key, and there is none"));
    }
    let missing = |name| errors::sql("42703", format!("the rows have no column \"{name}\", which is in \"on\""));
    on.iter().map(|name| rows.column_by_name(name).map(Arc::clone).ok_or_else(|| missing(name))).collect()
}

/// Keys that can be compared.
fn keys(columns: &[ArrayRef]) -> Result<Rows, EngineError> {
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let keys = RowConverter::new(fields).and_then(|converter| converter.convert_columns(columns));
    keys.map_err(|error| errors::sql("42804", format!("these columns cannot be a key: {error}")))
}
