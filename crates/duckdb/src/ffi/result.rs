//! A running statement's result, as Arrow.

use std::sync::Arc;

use arrow::{
    array::{Array, RecordBatch, RecordBatchOptions, StructArray},
    datatypes::{DataType, Schema, SchemaRef},
    ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi_and_data_type},
};
use libduckdb_sys::v2;

use super::{Code, Failure, Instance, call};

/// What a statement answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResultKind {
    /// Rows.
    Rows,
    /// A count of rows changed.
    Changed,
    /// Nothing.
    Nothing,
}

/// A cursor on a running statement. Dropping it before the end aborts the statement.
pub(crate) struct ArrowResult {
    handle: v2::duckdb_v2_arrow_result_handle,
    instance: Arc<Instance>,
}

// SAFETY: it may be read from any thread, one at a time (`&mut`).
unsafe impl Send for ArrowResult {}

impl ArrowResult {
    pub(super) fn adopt(handle: v2::duckdb_v2_arrow_result_handle, instance: &Arc<Instance>) -> Self {
        Self { handle, instance: Arc::clone(instance) }
    }

    /// What it answers. `None`: known only once it runs.
    pub(crate) fn kind(&self) -> Result<Option<ResultKind>, Failure> {
        let mut kind = v2::DUCKDB_V2_RESULT_TYPE::DUCKDB_V2_RESULT_TYPE_NOTHING;
        // SAFETY: the handle and the slot are alive.
        let known =
            call(|error| unsafe { v2::duckdb_v2_arrow_result_get_result_type(self.handle, &raw mut kind, error) });
        use v2::DUCKDB_V2_RESULT_TYPE as Type;
        match known {
            Ok(()) => Ok(Some(match kind {
                Type::DUCKDB_V2_RESULT_TYPE_QUERY_RESULT => ResultKind::Rows,
                Type::DUCKDB_V2_RESULT_TYPE_CHANGED_ROWS => ResultKind::Changed,
                _ => ResultKind::Nothing,
            })),
            Err(failure) if failure.code == Code::DUCKDB_V2_ERROR_INPUT_METADATA_DEFERRED => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Its columns. `None`: known only once it runs.
    pub(crate) fn schema(&self) -> Result<Option<SchemaRef>, Failure> {
        let mut schema = FFI_ArrowSchema::empty();
        // SAFETY: both types are the Arrow C data interface's struct; the slot is released by its drop.
        let known = call(|error| unsafe {
            v2::duckdb_v2_arrow_result_get_schema(self.handle, (&raw mut schema).cast(), error)
        });
        match known {
            Ok(()) => import_schema(&schema).map(|schema| Some(Arc::new(schema))),
            Err(failure) if failure.code == Code::DUCKDB_V2_ERROR_INPUT_METADATA_DEFERRED => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The next rows; `None` at the end.
    pub(crate) fn next(&mut self, schema: &SchemaRef) -> Result<Option<RecordBatch>, Failure> {
        self.first()?.map(|rows| rows.import(schema)).transpose()
    }

    /// The next rows of a result whose columns need not be known yet.
    pub(crate) fn first(&mut self) -> Result<Option<FirstBatch>, Failure> {
        let mut array = FFI_ArrowArray::empty();
        // SAFETY: both types are the Arrow C data interface's struct; what the slot receives is ours.
        call(|error| unsafe { v2::duckdb_v2_arrow_result_fetch_array(self.handle, (&raw mut array).cast(), error) })?;
        Ok(if array.is_released() { None } else { Some(FirstBatch(array)) })
    }

    /// Runs it to its end, and gives the number of rows changed.
    pub(crate) fn drain(self) -> Result<u64, Failure> {
        let mut changed = 0;
        // SAFETY: the handle and the slot are alive.
        call(|error| unsafe { v2::duckdb_v2_arrow_result_drain(self.handle, &raw mut changed, error) })?;
        Ok(changed)
    }
}

impl Drop for ArrowResult {
    fn drop(&mut self) {
        // SAFETY: owned by us, and not used again.
        unsafe { v2::duckdb_v2_arrow_result_destroy(&raw mut self.handle) };
        // Its transaction may have been the last one in something.
        self.instance.close_unused_soon();
    }
}

/// Rows as DuckDB made them.
pub(crate) struct FirstBatch(FFI_ArrowArray);

impl FirstBatch {
    /// The rows, with the columns of their own result.
    pub(crate) fn import(self, schema: &SchemaRef) -> Result<RecordBatch, Failure> {
        let data_type = DataType::Struct(schema.fields().clone());
        // SAFETY: DuckDB made the array after the schema that it gave for this result.
        let data = unsafe { from_ffi_and_data_type(self.0, data_type) };
        let batch = data.and_then(|mut data| {
            data.align_buffers();
            let rows = StructArray::from(data);
            let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
            RecordBatch::try_new_with_options(Arc::clone(schema), rows.columns().to_vec(), &options)
        });
        batch.map_err(|error| unsupported(&error.to_string()))
    }
}

/// A struct's fields as a schema.
pub(super) fn import_schema(schema: &FFI_ArrowSchema) -> Result<Schema, Failure> {
    Schema::try_from(schema).map_err(|error| unsupported(&error.to_string()))
}

fn unsupported(message: &str) -> Failure {
    Failure { code: Code::DUCKDB_V2_ERROR_QUERY_NOT_IMPLEMENTED, message: format!("Arrow: {message}") }
}
