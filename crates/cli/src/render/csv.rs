//! Comma-separated values: a header, then a line a row (RFC 4180). Lists, structs and maps are JSON text. NULL is an empty
//! field, as empty text is: JSON tells them apart.

use std::io::Write;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use arrow_csv::{Writer, WriterBuilder};

use super::{
    answer::Sink,
    plain::{self, Nested},
};
use crate::failure::Failure;

/// Writes an answer as CSV.
pub(crate) struct CsvSink<W: Write> {
    writer: Writer<W>,
}

impl<W: Write> CsvSink<W> {
    pub(crate) fn new(output: W) -> Self {
        let builder = WriterBuilder::new().with_header(true).with_timestamp_format("%Y-%m-%d %H:%M:%S%.f".to_owned());
        let builder = builder.with_timestamp_tz_format("%Y-%m-%d %H:%M:%S%.f%:z".to_owned());
        Self { writer: builder.build(output) }
    }
}

impl<W: Write> Sink for CsvSink<W> {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Failure> {
        self.batch(&RecordBatch::new_empty(SchemaRef::clone(schema)))
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        Ok(self.writer.write(&plain::batch(batch, Nested::AsText)?)?)
    }

    fn end(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}
