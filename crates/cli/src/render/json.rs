//! JSON: one array of objects for an answer, or one object a line.
//!
//! What numbers look like, `dbmux_report` says. Dates and times are ISO 8601 strings, BLOBs are hexadecimal strings. NULL is
//! `null`, never left out.

use std::io::Write;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use arrow_json::writer::{JsonArray, JsonFormat, LineDelimited, Writer};

use dbmux_report::rows::json::{self, builder};

use super::sink::Sink;
use crate::failure::Failure;

/// Writes an answer as JSON.
pub(crate) struct JsonSink<W: Write, F: JsonFormat> {
    writer: Option<Writer<W, F>>,
    /// What follows after the last row.
    last: &'static [u8],
}

impl<W: Write> JsonSink<W, JsonArray> {
    /// One array of objects, `[]` for no rows.
    pub(crate) fn array(output: W) -> Self {
        Self { writer: Some(builder().build(output)), last: b"\n" }
    }
}

impl<W: Write> JsonSink<W, LineDelimited> {
    /// One object a line.
    pub(crate) fn lines(output: W) -> Self {
        Self { writer: Some(builder().build(output)), last: b"" }
    }
}

impl<W: Write, F: JsonFormat> Sink for JsonSink<W, F> {
    fn begin(&mut self, _schema: &SchemaRef) -> Result<(), Failure> {
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let batch = json::plain(batch)?;
        if let Some(writer) = &mut self.writer {
            writer.write(&batch)?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        if let Some(mut writer) = self.writer.take() {
            writer.finish()?;
            let mut output = writer.into_inner();
            output.write_all(self.last)?;
            output.flush()?;
        }
        Ok(())
    }
}
