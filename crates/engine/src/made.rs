//! Answers that are there as a whole: those of statements that give no rows.

use std::{sync::Arc, time::SystemTime};

use arrow::{
    array::{Int64Array, RecordBatch},
    datatypes::{DataType, Field, Schema, SchemaRef},
};

use crate::{EngineError, Rows};

/// The one column of a statement that answers with a count.
pub fn count_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("Count", DataType::Int64, true)]))
}

/// The answer with the number of rows changed.
///
/// # Errors
/// Never, as far as is known: it is Arrow's own check.
pub fn count_batch(count: i64) -> Result<RecordBatch, EngineError> {
    let batch = RecordBatch::try_new(count_schema(), vec![Arc::new(Int64Array::from(vec![count]))]);
    batch.map_err(|error| EngineError::Internal { message: error.to_string() })
}

/// An answer that is there as a whole.
pub struct MadeRows {
    schema: SchemaRef,
    batch: Option<RecordBatch>,
    as_of: Option<SystemTime>,
}

impl MadeRows {
    /// These rows; `as_of`: of a copy, and as of when it is true.
    pub fn of(batch: RecordBatch, as_of: Option<SystemTime>) -> Self {
        Self { schema: batch.schema(), batch: Some(batch), as_of }
    }

    /// One row with the number of rows changed.
    ///
    /// # Errors
    /// As [`count_batch`].
    pub fn changed(count: i64) -> Result<Self, EngineError> {
        Ok(Self::of(count_batch(count)?, None))
    }

    /// Nothing but success.
    pub fn nothing() -> Self {
        Self { schema: Arc::new(Schema::empty()), batch: None, as_of: None }
    }
}

impl Rows for MadeRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn as_of(&self) -> Option<SystemTime> {
        self.as_of
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        Ok(self.batch.take())
    }
}
