//! Rows as JSON values, for readers that take every number for a double: a number that a double cannot hold exactly is a
//! string with all its digits. Such are integers beyond 2^53, and every DECIMAL and HUGEINT.

use std::sync::Arc;

use arrow::{
    array::{Array, AsArray, PrimitiveArray, RecordBatch},
    datatypes::{
        ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, DecimalType, FieldRef, Int64Type, UInt64Type,
    },
    error::ArrowError,
};
use arrow_json::{Encoder, EncoderFactory, EncoderOptions, WriterBuilder, writer::NullableEncoder};
use serde_json::Value;

use super::{
    json::{Floats, texts},
    plain::{self, Nested},
};

/// The largest integer up to which a double holds all of them.
const EXACT: u64 = 1 << 53;

/// Each row's values, in the columns' order.
///
/// # Errors
/// When a type has no form in JSON.
pub fn rows(batch: &RecordBatch) -> Result<Vec<Vec<Value>>, ArrowError> {
    let plain = plain::batch(batch, Nested::Keep)?;
    let mut rows = vec![Vec::with_capacity(plain.num_columns()); plain.num_rows()];
    for column in plain.columns() {
        let builder = WriterBuilder::new().with_explicit_nulls(true).with_encoder_factory(Arc::new(Exact));
        for (row, text) in rows.iter_mut().zip(texts(column, builder)?) {
            row.push(serde_json::from_str(&text).map_err(|error| ArrowError::JsonError(error.to_string()))?);
        }
    }
    Ok(rows)
}

/// Writes what a double cannot hold as a string.
#[derive(Debug)]
struct Exact;

impl EncoderFactory for Exact {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Int64 => Box::new(Integer(array.as_primitive::<Int64Type>())),
            DataType::UInt64 => Box::new(Integer(array.as_primitive::<UInt64Type>())),
            DataType::Decimal128(..) => Box::new(Decimal(array.as_primitive::<Decimal128Type>())),
            DataType::Decimal256(..) => Box::new(Decimal(array.as_primitive::<Decimal256Type>())),
            _ => return Floats.make_default_encoder(field, array, options),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

struct Integer<'a, T: ArrowPrimitiveType>(&'a PrimitiveArray<T>);

impl<T: ArrowPrimitiveType<Native: TryInto<i128> + std::fmt::Display>> Encoder for Integer<'_, T> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let value = self.0.value(row);
        let text = value.to_string();
        let exact = value.try_into().is_ok_and(|value: i128| value.unsigned_abs() <= u128::from(EXACT));
        push(&text, exact, out);
    }
}

struct Decimal<'a, T: DecimalType>(&'a PrimitiveArray<T>);

impl<T: DecimalType + ArrowPrimitiveType> Encoder for Decimal<'_, T> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        push(&self.0.value_as_string(row), false, out);
    }
}

/// A number, or a string of its digits.
fn push(digits: &str, number: bool, out: &mut Vec<u8>) {
    let quote: &[u8] = if number { b"" } else { b"\"" };
    out.extend_from_slice(quote);
    out.extend_from_slice(digits.as_bytes());
    out.extend_from_slice(quote);
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, StringArray, UInt64Array};
    use serde_json::json;

    use super::*;

    #[test]
    fn every_digit_arrives() {
        let columns: [(&str, ArrayRef); 5] = [
            ("i", Arc::new(Int64Array::from(vec![Some(1 << 53), Some(i64::MIN), None]))),
            ("u", Arc::new(UInt64Array::from(vec![7, u64::MAX, (1 << 53) + 1]))),
            (
                "d",
                Arc::new(
                    Decimal128Array::from(vec![Some(150), Some(-1), None]).with_precision_and_scale(38, 2).unwrap(),
                ),
            ),
            ("f", Arc::new(Float64Array::from(vec![0.1, f64::NAN, f64::NEG_INFINITY]))),
            ("s", Arc::new(StringArray::from(vec!["a\nb", "\"", ""]))),
        ];
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
        let expected = [
            json!([9007199254740992_i64, 7, "1.50", 0.1, "a\nb"]),
            json!(["-9223372036854775808", "18446744073709551615", "-0.01", "NaN", "\""]),
            json!([null, "9007199254740993", null, "-Infinity", ""]),
        ];
        let found: Vec<_> = rows(&batch).unwrap().into_iter().map(Value::from).collect();
        assert_eq!(found, expected);
    }
}
