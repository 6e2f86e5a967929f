//! Between values and Arrow.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, StringArray},
    compute::cast,
    datatypes::{DataType, Field, Float64Type, Int64Type, Schema},
    error::ArrowError,
};
use dbmux_client::ClientError;

use crate::embed::DIMENSIONS;

/// One text.
pub(super) fn text(value: &str) -> ArrayRef {
    texts_of([value])
}

/// Texts.
pub(super) fn texts_of<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// Whole numbers.
pub(super) fn numbers_of(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

/// Vectors: lists of a fixed length.
pub(super) fn vectors_of<'a>(vectors: impl IntoIterator<Item = &'a [f32]>) -> Result<ArrayRef, ClientError> {
    let numbers = Float32Array::from_iter_values(vectors.into_iter().flatten().copied());
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let list = FixedSizeListArray::try_new(item, DIMENSIONS as i32, Arc::new(numbers), None).map_err(invalid)?;
    Ok(Arc::new(list))
}

/// A batch of columns with names.
pub(super) fn batch<S: Into<String>>(
    columns: impl IntoIterator<Item = (S, ArrayRef)>,
) -> Result<RecordBatch, ClientError> {
    let (fields, arrays): (Vec<_>, Vec<_>) = columns
        .into_iter()
        .map(|(name, array)| (Field::new(name, array.data_type().clone(), array.is_nullable()), array))
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(invalid)
}

/// The parameters `$1`, `$2`, … of one statement.
pub(super) fn parameters(values: impl IntoIterator<Item = ArrayRef>) -> Result<RecordBatch, ClientError> {
    batch(values.into_iter().enumerate().map(|(number, value)| ((number + 1).to_string(), value)))
}

/// A column of texts.
pub(super) fn texts(batch: &RecordBatch, name: &str) -> Result<Vec<String>, ClientError> {
    let column = column(batch, name, &DataType::Utf8)?;
    Ok(column.as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_owned()).collect())
}

/// A column of whole numbers.
pub(super) fn integers(batch: &RecordBatch, name: &str) -> Result<Vec<i64>, ClientError> {
    Ok(column(batch, name, &DataType::Int64)?
        .as_primitive::<Int64Type>()
        .iter()
        .map(Option::unwrap_or_default)
        .collect())
}

/// A column of numbers.
pub(super) fn reals(batch: &RecordBatch, name: &str) -> Result<Vec<f64>, ClientError> {
    let column = column(batch, name, &DataType::Float64)?;
    Ok(column.as_primitive::<Float64Type>().iter().map(Option::unwrap_or_default).collect())
}

/// Each engine has types of its own for the same thing.
fn column(batch: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef, ClientError> {
    let column = batch.column_by_name(name);
    let column = column.ok_or_else(|| ClientError::Decode(format!("the answer has no column {name}")))?;
    cast(column, kind).map_err(|error| ClientError::Decode(format!("the column {name}: {error}")))
}

fn invalid(error: ArrowError) -> ClientError {
    ClientError::InvalidArgument(error.to_string())
}
