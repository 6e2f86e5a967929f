//! An answer on standard output, in the form that was asked for, as it arrives.

use std::io::{BufWriter, Write};

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use super::{
    arrow::ArrowSink,
    csv::CsvSink,
    json::JsonSink,
    table::{Limits, TableSink},
};
use crate::{args::Format, failure::Failure};

/// What takes an answer's batches.
pub(crate) trait Sink {
    /// Takes the columns, once, before the first batch.
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Failure>;
    /// Takes some rows.
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Failure>;
    /// There are no more rows.
    fn end(&mut self) -> Result<(), Failure>;
}

/// A sink that writes to `output` in this format.
pub(crate) fn sink<'a>(format: Format, limits: Limits, output: impl Write + 'a) -> Box<dyn Sink + 'a> {
    let output = BufWriter::with_capacity(1 << 16, output);
    match format {
        Format::Table => Box::new(TableSink::new(output, limits)),
        Format::Csv => Box::new(CsvSink::new(output)),
        Format::Json => Box::new(JsonSink::array(output)),
        Format::Jsonl => Box::new(JsonSink::lines(output)),
        Format::Arrow => Box::new(ArrowSink::new(output)),
    }
}
