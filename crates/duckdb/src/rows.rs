//! A statement's rows, as they are made.

use std::{sync::Arc, time::SystemTime};

use arrow::{
    array::{Array, RecordBatch},
    datatypes::SchemaRef,
};
use dbmux_engine::{EngineError, Rows};

use crate::{
    errors,
    ffi::{ArrowResult, FirstBatch},
    read_only::ReadOnlyTransaction,
};

/// Bytes of a batch at most, about.
const BATCH_BYTES: usize = 4 << 20;

/// Rows of a running statement.
pub(crate) struct StreamedRows {
    result: Option<ArrowResult>,
    schema: SchemaRef,
    /// What had to be fetched to learn the columns.
    first: Option<FirstBatch>,
    /// What is left of a batch that is too large to be given at once.
    left: Option<RecordBatch>,
    /// Ends the transaction that was begun around it, if one was.
    closing: Option<ReadOnlyTransaction>,
    as_of: Option<SystemTime>,
}

impl StreamedRows {
    pub(crate) fn new(
        result: ArrowResult,
        schema: SchemaRef,
        first: Option<FirstBatch>,
        closing: Option<ReadOnlyTransaction>,
        as_of: Option<SystemTime>,
    ) -> Self {
        Self { result: Some(result), schema, first, left: None, closing, as_of }
    }
}

impl StreamedRows {
    /// As much of a batch as is given at once; the rest is kept for later.
    fn part(&mut self, batch: RecordBatch) -> RecordBatch {
        let size: usize =
            batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum();
        let rows = batch.num_rows();
        let fits = (rows * BATCH_BYTES).checked_div(size).unwrap_or(rows).max(1);
        if size <= BATCH_BYTES || fits >= rows {
            return batch;
        }
        self.left = Some(batch.slice(fits, rows - fits));
        batch.slice(0, fits)
    }
}

impl Rows for StreamedRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn as_of(&self) -> Option<SystemTime> {
        self.as_of
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        if let Some(left) = self.left.take() {
            return Ok(Some(self.part(left)));
        }
        let Some(result) = self.result.as_mut() else {
            return Ok(None);
        };
        let batch = match self.first.take() {
            Some(first) => first.import(&self.schema).map(Some),
            None => result.next(&self.schema),
        };
        let batch = batch.map_err(|failure| errors::statement(&failure));
        if let Ok(Some(batch)) = batch {
            return Ok(Some(self.part(batch)));
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
