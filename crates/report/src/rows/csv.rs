//! Comma-separated values: a header, then a line a row (RFC 4180). Lists, structs and maps are JSON text. NULL is an empty
//! field, as empty text is: JSON tells them apart.

use std::io::Write;

use arrow::{array::RecordBatch, error::ArrowError};
use arrow_csv::WriterBuilder;

use super::plain::{self, Nested};

/// Writes rows; `header`: below a line with the columns' names.
///
/// # Errors
/// When a value cannot be written as text, or the output cannot be written to.
pub fn write(batch: &RecordBatch, header: bool, output: impl Write) -> Result<(), ArrowError> {
    let builder = WriterBuilder::new().with_header(header);
    let builder = builder.with_timestamp_format("%Y-%m-%d %H:%M:%S%.f".to_owned());
    let builder = builder.with_timestamp_tz_format("%Y-%m-%d %H:%M:%S%.f%:z".to_owned());
    builder.build(output).write(&plain::batch(batch, Nested::AsText)?)
}
