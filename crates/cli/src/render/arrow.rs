//! An Arrow IPC stream: DuckDB's own types keep every bit.

use std::io::Write;

use arrow::{array::RecordBatch, datatypes::SchemaRef, ipc::writer::StreamWriter};

use super::sink::Sink;
use crate::failure::Failure;

/// Writes an answer as an Arrow IPC stream.
pub(crate) struct ArrowSink<W: Write> {
    output: Option<W>,
    writer: Option<StreamWriter<W>>,
}

impl<W: Write> ArrowSink<W> {
    pub(crate) fn new(output: W) -> Self {
        Self { output: Some(output), writer: None }
    }
}

impl<W: Write> Sink for ArrowSink<W> {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Failure> {
        if let Some(output) = self.output.take() {
            self.writer = Some(StreamWriter::try_new(output, schema)?);
        }
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        match &mut self.writer {
            Some(writer) => Ok(writer.write(batch)?),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), Failure> {
        match &mut self.writer {
            Some(writer) => Ok(writer.finish()?),
            None => Ok(()),
        }
    }
}
