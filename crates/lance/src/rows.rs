//! A statement's rows, as they are made.

use std::{pin::Pin, sync::Arc, time::SystemTime};

use arrow::{
    array::{Array, RecordBatch},
    datatypes::SchemaRef,
};
use dbmux_engine::{EngineError, Rows};
use futures::{Stream, StreamExt};

use crate::{
    ffi::{self, TheirBatch},
    opened::Source,
    threads::Threads,
    wait::Running,
};

/// Bytes of a batch at most, about.
const BATCH_BYTES: usize = 4 << 20;

/// Batches of LanceDB's.
pub(crate) type TheirStream = Pin<Box<dyn Stream<Item = Result<TheirBatch, EngineError>> + Send>>;

/// What reading answers with, before anybody waits for its rows.
pub(crate) enum Found {
    Stream { schema: SchemaRef, batches: TheirStream },
    Batch(RecordBatch),
}

/// Rows of a running statement.
pub(crate) struct StreamedRows {
    pub(crate) threads: Arc<Threads>,
    pub(crate) schema: SchemaRef,
    /// `None` at the end.
    pub(crate) batches: Option<TheirStream>,
    /// What is left of a batch that is too large to be given at once.
    pub(crate) left: Option<RecordBatch>,
    pub(crate) running: Arc<Running>,
    /// What is read: it stays open meanwhile.
    pub(crate) source: Source,
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
        self.source.as_of()
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        if let Some(left) = self.left.take() {
            return Ok(Some(self.part(left)));
        }
        let Some(batches) = self.batches.as_mut() else {
            return Ok(None);
        };
        let running = &self.running;
        let next = self.threads.read(running, async { batches.next().await.transpose() });
        let batch = next.and_then(|batch| batch.map(|batch| ffi::batch_to_ours(batch, &self.schema)).transpose());
        match batch {
            Ok(Some(batch)) => Ok(Some(self.part(batch))),
            over => {
                self.batches = None;
                over
            }
        }
    }
}
