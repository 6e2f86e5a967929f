//! Comma-separated values: a header, then a line a row (RFC 4180). Lists, structs and maps are JSON text. NULL is an empty
//! field, as empty text is: JSON tells them apart.

use std::io::Write;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use arrow_csv::WriterBuilder;

use super::{
    plain::{self, Nested},
    sink::Sink,
};
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
        let builder = WriterBuilder::new().with_header(std::mem::take(&mut self.header));
        let builder = builder.with_timestamp_format("%Y-%m-%d %H:%M:%S%.f".to_owned());
        let builder = builder.with_timestamp_tz_format("%Y-%m-%d %H:%M:%S%.f%:z".to_owned());
        // Into memory first: the writer's own errors do not tell a pipe that was closed from anything else.
        self.text.clear();
        let mut writer = builder.build(&mut self.text);
        writer.write(&plain::batch(batch, Nested::AsText)?)?;
        drop(writer);
        Ok(self.output.write_all(&self.text)?)
    }

    fn end(&mut self) -> Result<(), Failure> {
        Ok(self.output.flush()?)
    }
}
