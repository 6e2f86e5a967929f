//! Comma-separated values, as they arrive.

use std::io::Write;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use dbmux_report::rows::csv;

use super::sink::Sink;
use crate::failure::Failure;

/// Writes an answer as CSV.
pub(crate) struct CsvSink<W: Write> {
    output: W,
    header: bool,
    text: Vec<u8>,
}

impl<W: Write> CsvSink<W> {
    pub(crate) fn new(output: W) -> Self {
        Self { output, header: true, text: Vec::new() }
    }
}

impl<W: Write> Sink for CsvSink<W> {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Failure> {
        self.batch(&RecordBatch::new_empty(SchemaRef::clone(schema)))
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        // Into memory first: the writer's own errors do not tell a pipe that was closed from anything else.
        self.text.clear();
        csv::write(batch, std::mem::take(&mut self.header), &mut self.text)?;
        Ok(self.output.write_all(&self.text)?)
    }

    fn end(&mut self) -> Result<(), Failure> {
        Ok(self.output.flush()?)
    }
}
