//! JSON: one array of objects for an answer, or one object a line.
//!
//! What numbers look like, `json_values` says. Dates and times are ISO 8601 strings, BLOBs are hexadecimal strings. NULL is
//! `null`, never left out.

use std::{io::Write, sync::Arc};

use arrow::{
    array::{RecordBatch, RecordBatchOptions},
    datatypes::{FieldRef, Schema, SchemaRef},
    error::ArrowError,
};
use arrow_json::writer::{JsonArray, JsonFormat, LineDelimited, Writer};

use super::{
    json_values::builder,
    plain::{self, Nested},
    sink::Sink,
};
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
        let batch = with_distinct_names(&plain::batch(batch, Nested::Keep)?)?;
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

/// The second column called `a` is `a_1`: an object has no two keys of the same name.
fn with_distinct_names(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut taken = std::collections::HashSet::new();
    let mut fields: Vec<FieldRef> = Vec::with_capacity(batch.num_columns());
    for field in batch.schema().fields() {
        let mut name = field.name().clone();
        let mut number = 0;
        while !taken.insert(name.clone()) {
            number += 1;
            name = format!("{}_{number}", field.name());
        }
        fields.push(if name == *field.name() {
            Arc::clone(field)
        } else {
            Arc::new(field.as_ref().clone().with_name(name))
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), batch.columns().to_vec(), &options)
}
