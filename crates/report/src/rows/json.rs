//! Values as JSON text.
//!
//! A number is a JSON number with all its digits: 64-bit integers, HUGEINT and DECIMAL hold more of them than a reader
//! that takes every number for a double will keep. NaN and the infinities, which JSON has no number for, are the strings
//! `"NaN"`, `"Infinity"`, `"-Infinity"`.

use std::{io::Write, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray},
    datatypes::{ArrowNativeTypeOp, ArrowPrimitiveType, DataType, Field, FieldRef, Float32Type, Float64Type, Schema},
    error::ArrowError,
};
use arrow_json::{
    Encoder, EncoderFactory, EncoderOptions, WriterBuilder,
    writer::{LineDelimited, NullableEncoder},
};

use super::plain::{self, Nested};

/// Each value as JSON text; what is NULL stays NULL.
///
/// # Errors
/// When a type has no form in JSON.
pub fn cells(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let texts = texts(column, builder())?;
    let values = texts.into_iter().enumerate().map(|(row, value)| Some(value).filter(|_| column.is_valid(row)));
    Ok(Arc::new(values.collect::<StringArray>()))
}

/// Each value as JSON text.
pub(super) fn texts(column: &ArrayRef, builder: WriterBuilder) -> Result<Vec<String>, ArrowError> {
    const BEFORE: &str = "{\"v\":";
    let schema = Schema::new(vec![Field::new("v", column.data_type().clone(), true)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::clone(column)])?;
    let mut text = Vec::new();
    let mut writer = builder.build::<_, LineDelimited>(&mut text);
    writer.write(&batch)?;
    writer.finish()?;
    drop(writer);
    let text = String::from_utf8_lossy(&text);
    // A line feed inside a string is escaped: each line is one value.
    let values = text.lines().map(|line| line.strip_prefix(BEFORE).and_then(|line| line.strip_suffix('}')));
    Ok(values.map(|value| value.unwrap_or("null").to_owned()).collect())
}

/// The same rows, of types that can be written, in columns of distinct names.
///
/// # Errors
/// When a type has no form in JSON.
pub fn plain(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    with_distinct_names(&plain::batch(batch, Nested::Keep)?)
}

/// Writes rows, one object a line.
///
/// # Errors
/// When a value cannot be written as JSON, or the output cannot be written to.
pub fn write_lines(batch: &RecordBatch, output: impl Write) -> Result<(), ArrowError> {
    let mut writer = builder().build::<_, LineDelimited>(output);
    writer.write(&plain(batch)?)?;
    writer.finish()
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

/// Writers that write values so.
pub fn builder() -> WriterBuilder {
    WriterBuilder::new().with_explicit_nulls(true).with_encoder_factory(Arc::new(Floats))
}

/// Writes NaN and the infinities as strings, and any other floating-point number as the default encoder does.
#[derive(Debug)]
pub(super) struct Floats;

impl EncoderFactory for Floats {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Float64 => Box::new(Float(array.as_primitive::<Float64Type>().values().as_ref())),
            DataType::Float32 => Box::new(Float(array.as_primitive::<Float32Type>().values().as_ref())),
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

struct Float<'a, T>(&'a [T]);

trait Real: Copy + serde::Serialize {
    fn is_number(self) -> bool;
    fn name(self) -> &'static str;
}

macro_rules! real {
    ($($kind:ty: $arrow:ty),*) => {
        $(impl Real for $kind {
            fn is_number(self) -> bool {
                self.is_finite()
            }

            fn name(self) -> &'static str {
                let zero = <$arrow as ArrowPrimitiveType>::Native::ZERO;
                if self.is_nan() { "\"NaN\"" } else if self > zero { "\"Infinity\"" } else { "\"-Infinity\"" }
            }
        })*
    };
}

real!(f32: Float32Type, f64: Float64Type);

impl<T: Real> Encoder for Float<'_, T> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let value = self.0[row];
        if !value.is_number() {
            out.extend_from_slice(value.name().as_bytes());
        } else if serde_json::to_writer(&mut *out, &value).is_err() {
            // Writing to memory does not fail.
            out.extend_from_slice(b"null");
        }
    }
}
