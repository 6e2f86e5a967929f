//! Single values: what parameters and inserted constants become.

use arrow::{
    array::{Array, RecordBatch, StructArray},
    ffi::to_ffi,
};
use libduckdb_sys::v2;

use super::{Code, Connection, Failure};

/// A value with its type.
pub(crate) struct Value {
    handle: v2::duckdb_v2_value_handle,
}

// SAFETY: a value is a plain tree that only its owner touches.
unsafe impl Send for Value {}

impl Value {
    /// Imports a batch of rows: one value a column, row by row.
    pub(crate) fn from_rows(connection: &Connection, rows: &RecordBatch) -> Result<Vec<Self>, Failure> {
        let data = StructArray::from(rows.clone()).into_data();
        let (mut array, schema) = to_ffi(&data).map_err(|error| Failure {
            code: Code::DUCKDB_V2_ERROR_QUERY_NOT_IMPLEMENTED,
            message: format!("Arrow: {error}"),
        })?;
        let mut handles = vec![std::ptr::null_mut(); rows.num_rows() * rows.num_columns()];
        let imported = connection.import_values(&schema, &mut array, &mut handles);
        let values = handles.into_iter().map(|handle| Self { handle }).collect();
        imported.map(|()| values)
    }

    pub(super) fn handle(&self) -> v2::duckdb_v2_value_handle {
        self.handle
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: owned by us or null, and not used again.
        unsafe { v2::duckdb_v2_value_destroy(&raw mut self.handle) };
    }
}
