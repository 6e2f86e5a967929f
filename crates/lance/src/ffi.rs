//! Record batches between the workspace's Arrow and LanceDB's, which is another major version of the same crate.
//!
//! By Arrow's C data interface: no value is copied, each side keeps the other's buffers alive and gives them back by the
//! callback that came with them. Names, metadata and whether a column may be null cross with the schema; a batch is taken
//! over under a schema that has crossed already.
//!
//! What always holds: a structure of the C data interface has one owner; it is moved from the one version's type to the
//! other's, never copied.

use std::sync::Arc;

use arrow::{
    array::{Array, RecordBatch, RecordBatchOptions, StructArray},
    datatypes::{DataType, Schema, SchemaRef},
    ffi::{FFI_ArrowArray, FFI_ArrowSchema},
};
use dbmux_engine::EngineError;
use lancedb::arrow::{
    arrow_array::{self as theirs, Array as _, ffi as theirs_ffi},
    arrow_schema as theirs_schema,
};

/// LanceDB's type of a batch.
pub(crate) type TheirBatch = theirs::RecordBatch;
/// LanceDB's type of a schema.
pub(crate) type TheirSchema = theirs_schema::SchemaRef;

/// A schema, for LanceDB.
pub(crate) fn schema_to_theirs(schema: &Schema) -> Result<TheirSchema, EngineError> {
    let ours = FFI_ArrowSchema::try_from(schema).map_err(|error| untaken(&error))?;
    let theirs = theirs_schema::Schema::try_from(&lend_schema(ours)).map_err(|error| untaken(&error))?;
    Ok(Arc::new(theirs))
}

/// A schema of LanceDB's.
pub(crate) fn schema_to_ours(schema: &theirs_schema::Schema) -> Result<SchemaRef, EngineError> {
    let theirs = theirs_ffi::FFI_ArrowSchema::try_from(schema).map_err(|error| untaken(&error))?;
    let ours = Schema::try_from(&take_schema(theirs)).map_err(|error| untaken(&error))?;
    Ok(Arc::new(ours))
}

/// A batch, for LanceDB.
pub(crate) fn batch_to_theirs(batch: &RecordBatch) -> Result<TheirBatch, EngineError> {
    let schema = schema_to_theirs(&batch.schema())?;
    let data = StructArray::from(batch.clone()).into_data();
    let array = lend_array(FFI_ArrowArray::new(&data));
    let kind = theirs_schema::DataType::Struct(schema.fields().clone());
    // SAFETY: the array was made from data of the type from which `schema` was made, a line above.
    let data = unsafe { theirs_ffi::from_ffi_and_data_type(array, kind) }.map_err(|error| untaken(&error))?;
    let columns = theirs::StructArray::from(data);
    let options = theirs::RecordBatchOptions::new().with_row_count(Some(columns.len()));
    TheirBatch::try_new_with_options(schema, columns.columns().to_vec(), &options).map_err(|error| untaken(&error))
}

/// A batch of LanceDB's, whose schema has become this one.
pub(crate) fn batch_to_ours(batch: TheirBatch, schema: &SchemaRef) -> Result<RecordBatch, EngineError> {
    let data = theirs::StructArray::from(batch).into_data();
    let (array, kind) = theirs_ffi::to_ffi(&data).map_err(|error| untaken(&error))?;
    let kind = DataType::try_from(&take_schema(kind)).map_err(|error| untaken(&error))?;
    // SAFETY: the array and the type were made together, from the same data.
    let data =
        unsafe { arrow::ffi::from_ffi_and_data_type(take_array(array), kind) }.map_err(|error| untaken(&error))?;
    let columns = StructArray::from(data);
    let options = RecordBatchOptions::new().with_row_count(Some(columns.len()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns.columns().to_vec(), &options)
        .map_err(|error| untaken(&error))
}

/// Moves an array to LanceDB's version of the structure.
fn lend_array(array: FFI_ArrowArray) -> theirs_ffi::FFI_ArrowArray {
    // SAFETY: both are `struct ArrowArray` of the C data interface, `repr(C)`, and own what its `release` gives back; the
    // value is moved. Its size is compared by the compiler.
    unsafe { std::mem::transmute(array) }
}

/// Moves an array of LanceDB's version of the structure to ours.
fn take_array(array: theirs_ffi::FFI_ArrowArray) -> FFI_ArrowArray {
    // SAFETY: as in `lend_array`.
    unsafe { std::mem::transmute(array) }
}

/// Moves a schema to LanceDB's version of the structure.
fn lend_schema(schema: FFI_ArrowSchema) -> theirs_ffi::FFI_ArrowSchema {
    // SAFETY: both are `struct ArrowSchema` of the C data interface, `repr(C)`, and own what its `release` gives back; the
    // value is moved. Its size is compared by the compiler.
    unsafe { std::mem::transmute(schema) }
}

/// Moves a schema of LanceDB's version of the structure to ours.
fn take_schema(schema: theirs_ffi::FFI_ArrowSchema) -> FFI_ArrowSchema {
    // SAFETY: as in `lend_schema`.
    unsafe { std::mem::transmute(schema) }
}

fn untaken(error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Unsupported { what: "a column's type".to_owned(), why: error.to_string() }
}

#[cfg(test)]
#[path = "ffi_tests.rs"]
mod tests;
