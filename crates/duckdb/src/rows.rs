//! A statement's rows, as they are made.

use std::sync::Arc;

use arrow::{
    array::{Int64Array, RecordBatch},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use dbmux_engine::{EngineError, Rows};

use crate::{
    errors,
    ffi::{ArrowResult, FirstBatch},
    session::Closing,
};

/// The one column of a statement that answers with a count.
pub(crate) fn count_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("Count", DataType::Int64, true)]))
}

/// Rows of a running statement.
pub(crate) struct StreamedRows {
    result: Option<ArrowResult>,
    schema: SchemaRef,
    /// What had to be fetched to learn the columns.
    first: Option<FirstBatch>,
    /// Ends the transaction that was begun around it, if one was.
    closing: Option<Closing>,
}

impl StreamedRows {
    pub(crate) fn new(
        result: ArrowResult,
        schema: SchemaRef,
        first: Option<FirstBatch>,
        closing: Option<Closing>,
    ) -> Self {
        Self { result: Some(result), schema, first, closing }
    }
}

impl Rows for StreamedRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        let Some(result) = self.result.as_mut() else {
            return Ok(None);
        };
        let batch = match self.first.take() {
            Some(first) => first.import(&self.schema).map(Some),
            None => result.next(&self.schema),
        };
        let batch = batch.map_err(|failure| errors::statement(&failure));
        if let Ok(Some(batch)) = batch {
            return Ok(Some(batch));
        }
        self.result = None;
        match (batch, self.closing.take()) {
            (Ok(_), Some(closing)) => closing.commit().map(|()| None),
            // A failed one is rolled back when it is dropped.
            (batch, _) => batch,
        }
    }
}

impl Drop for StreamedRows {
    fn drop(&mut self) {
        // The statement ends before the transaction around it.
        self.result = None;
    }
}

/// An answer that was complete when its statement returned.
pub(crate) struct MadeRows {
    schema: SchemaRef,
    batch: Option<RecordBatch>,
}

impl MadeRows {
    /// One row with the number of rows changed.
    pub(crate) fn changed(count: u64) -> Result<Self, EngineError> {
        let schema = count_schema();
        let column = Int64Array::from(vec![i64::try_from(count).unwrap_or(i64::MAX)]);
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(column)])
            .map_err(|error| EngineError::Internal { message: error.to_string() })?;
        Ok(Self { schema, batch: Some(batch) })
    }

    /// Nothing but success.
    pub(crate) fn nothing() -> Self {
        Self { schema: Arc::new(Schema::empty()), batch: None }
    }
}

impl Rows for MadeRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        Ok(self.batch.take())
    }
}
