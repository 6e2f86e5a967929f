//! What takes an answer's batches, as they arrive.

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use crate::failure::Failure;

/// What takes an answer's batches.
pub(crate) trait Sink {
    /// Takes the columns, once, before the first batch.
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Failure>;
    /// Takes some rows.
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Failure>;
    /// There are no more rows.
    fn end(&mut self) -> Result<(), Failure>;
}
