//! Turns DuckDB's own types, which cross as Arrow extension types with every bit, into ones that can be written as text.
//!
//! UUID, BIT, TIMETZ and BIGNUM become text; HUGEINT and UHUGEINT become decimals without a fraction, so that all their
//! digits are written and they are numbers still. Inside lists, structs and maps too. A time zone that has a name is shown
//! in UTC: the instant is the same.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Decimal256Array, FixedSizeListArray, ListArray, MapArray, RecordBatch,
        RecordBatchOptions, StringArray, StructArray, UnionArray,
    },
    datatypes::{DataType, Field, FieldRef, Int8Type, Schema, TimeUnit, i256},
    error::ArrowError,
    util::display::{ArrayFormatter, FormatOptions},
};

use super::json;

/// What may be left nested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nested {
    /// Lists, structs and maps stay.
    Keep,
    /// They become JSON text: one cell a value.
    AsText,
}

/// The same rows, of types that can be written.
pub fn batch(batch: &RecordBatch, nested: Nested) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let mut column = array(field, column)?;
        if nested == Nested::AsText && column.data_type().is_nested() {
            column = json::cells(&column)?;
        }
        fields.push(Field::new(field.name(), column.data_type().clone(), true));
        columns.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

/// What the field's metadata says that its bits mean.
fn extension(field: &Field) -> Option<String> {
    let name = field.metadata().get("ARROW:extension:name")?;
    if name != "arrow.opaque" {
        return Some(name.clone());
    }
    let metadata = field.metadata().get("ARROW:extension:metadata")?;
    let metadata: serde_json::Value = serde_json::from_str(metadata).ok()?;
    Some(metadata.get("type_name")?.as_str()?.to_owned())
}

fn array(field: &Field, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let data_type = array.data_type().clone();
    match (extension(field).as_deref(), &data_type) {
        (Some("arrow.uuid"), DataType::FixedSizeBinary(16)) => text(array, uuid),
        (Some("hugeint"), DataType::FixedSizeBinary(16)) => {
            decimal(array, |bytes| i256::from_i128(i128::from_le_bytes(bytes)))
        }
        (Some("uhugeint"), DataType::FixedSizeBinary(16)) => {
            decimal(array, |bytes| i256::from_parts(u128::from_le_bytes(bytes), 0))
        }
        // Crosses as text, for Arrow's usual decimals are too short for it.
        (Some("uhugeint"), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => {
            arrow::compute::cast(array, &DataType::Decimal256(39, 0))
        }
        // Text already: DuckDB may cast them on the way.
        (Some("bit" | "bignum" | "varint"), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => {
            Ok(Arc::clone(array))
        }
        (Some("bit"), _) => text(array, bits),
        (Some("time_tz"), DataType::FixedSizeBinary(8)) => text(array, time_tz),
        (Some("bignum" | "varint"), _) => text(array, bignum),
        (Some("arrow.bool8"), DataType::Int8) => {
            let values = array.as_primitive::<Int8Type>();
            Ok(Arc::new(values.iter().map(|value| value.map(|value| value != 0)).collect::<BooleanArray>()))
        }
        _ => nested(array, data_type),
    }
}

fn nested(array: &ArrayRef, data_type: DataType) -> Result<ArrayRef, ArrowError> {
    let inner = |field: &FieldRef, values: &ArrayRef| -> Result<(FieldRef, ArrayRef), ArrowError> {
        let values = self::array(field, values)?;
        Ok((Arc::new(Field::new(field.name(), values.data_type().clone(), true)), values))
    };
    match &data_type {
        DataType::List(field) => {
            let list = array.as_list::<i32>();
            let (field, values) = inner(field, list.values())?;
            Ok(Arc::new(ListArray::try_new(field, list.offsets().clone(), values, list.nulls().cloned())?))
        }
        DataType::FixedSizeList(field, size) => {
            let list = array.as_fixed_size_list();
            let (field, values) = inner(field, list.values())?;
            Ok(Arc::new(FixedSizeListArray::try_new(field, *size, values, list.nulls().cloned())?))
        }
        DataType::Struct(fields) => {
            let parts = fields.iter().zip(array.as_struct().columns()).map(|(field, values)| inner(field, values));
            let (fields, values): (Vec<_>, Vec<_>) = parts.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
            let length = array.len();
            Ok(Arc::new(StructArray::try_new_with_length(fields.into(), values, array.nulls().cloned(), length)?))
        }
        DataType::Map(..) => map(array.as_map()),
        DataType::Union(..) => union(array.as_union()),
        DataType::Timestamp(unit, Some(zone)) if !zone.starts_with(['+', '-']) => in_utc(array, *unit),
        _ => Ok(Arc::clone(array)),
    }
}

/// A map stays one while its keys are text; else it is a list of entries, for JSON has no other keys.
fn map(map: &MapArray) -> Result<ArrayRef, ArrowError> {
    let DataType::Map(field, sorted) = map.data_type() else { return Ok(Arc::new(map.clone())) };
    let entries: ArrayRef = Arc::new(map.entries().clone());
    let entries = nested(&entries, field.data_type().clone())?;
    let field = Arc::new(Field::new(field.name(), entries.data_type().clone(), false));
    let keys_are_text = entries.as_struct().column(0).data_type() == &DataType::Utf8;
    if !keys_are_text {
        return Ok(Arc::new(ListArray::try_new(field, map.offsets().clone(), entries, map.nulls().cloned())?));
    }
    let entries = with_keys(entries.as_struct())?;
    let field = Arc::new(field.as_ref().clone().with_data_type(entries.data_type().clone()));
    Ok(Arc::new(MapArray::try_new(field, map.offsets().clone(), entries, map.nulls().cloned(), *sorted)?))
}

/// The entries of a map, whose keys are never NULL.
fn with_keys(entries: &StructArray) -> Result<StructArray, ArrowError> {
    let fields = entries.fields().iter().enumerate();
    let fields = fields.map(|(number, field)| field.as_ref().clone().with_nullable(number > 0)).collect::<Vec<_>>();
    StructArray::try_new(fields.into(), entries.columns().to_vec(), entries.nulls().cloned())
}

/// A union has no form in JSON or CSV that keeps its tags: its text is shown.
fn union(union: &UnionArray) -> Result<ArrayRef, ArrowError> {
    let options = FormatOptions::new().with_null("");
    let formatter = ArrayFormatter::try_new(union, &options)?;
    let texts = (0..union.len()).map(|row| {
        let text = formatter.value(row).try_to_string()?;
        Ok((!text.is_empty()).then_some(text))
    });
    Ok(Arc::new(texts.collect::<Result<StringArray, ArrowError>>()?))
}

fn in_utc(array: &ArrayRef, unit: TimeUnit) -> Result<ArrayRef, ArrowError> {
    arrow::compute::cast(array, &DataType::Timestamp(unit, Some("+00:00".into())))
}

/// Each value's bytes as text.
fn text(array: &ArrayRef, show: impl Fn(&[u8]) -> String) -> Result<ArrayRef, ArrowError> {
    let binary = arrow::compute::cast(array, &DataType::LargeBinary)?;
    let shown = binary.as_binary::<i64>().iter().map(|bytes| bytes.map(&show));
    Ok(Arc::new(shown.collect::<StringArray>()))
}

fn decimal(array: &ArrayRef, value: impl Fn([u8; 16]) -> i256) -> Result<ArrayRef, ArrowError> {
    let values = array.as_fixed_size_binary().iter();
    let values = values.map(|bytes| bytes.and_then(|bytes| bytes.try_into().ok()).map(&value));
    Ok(Arc::new(values.collect::<Decimal256Array>().with_precision_and_scale(39, 0)?))
}

/// `8-4-4-4-12` hex digits.
fn uuid(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    match (hex.get(..8), hex.get(8..12), hex.get(12..16), hex.get(16..20), hex.get(20..)) {
        (Some(a), Some(b), Some(c), Some(d), Some(e)) => format!("{a}-{b}-{c}-{d}-{e}"),
        _ => hex,
    }
}

/// DuckDB's bit strings: the first byte counts the padding bits that the second one begins with.
fn bits(bytes: &[u8]) -> String {
    let Some((padding, data)) = bytes.split_first() else { return String::new() };
    data.iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| if byte >> bit & 1 == 1 { '1' } else { '0' }))
        .skip(usize::from(*padding))
        .collect()
}

/// DuckDB's TIMETZ: 40 bits of microseconds, then 24 bits of offset, counted down from the largest one.
fn time_tz(bytes: &[u8]) -> String {
    const LARGEST: i64 = 16 * 3600 - 1;
    let Ok(bits) = bytes.try_into().map(u64::from_le_bytes) else { return String::new() };
    let micros = bits >> 24;
    let offset = LARGEST - i64::try_from(bits & 0xff_ffff).unwrap_or(LARGEST);
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let mut shown = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction > 0 {
        shown.push_str(format!(".{fraction:06}").trim_end_matches('0'));
    }
    let (sign, offset) = (if offset < 0 { '-' } else { '+' }, offset.abs());
    shown.push_str(&format!("{sign}{:02}", offset / 3600));
    let (minutes, seconds) = (offset / 60 % 60, offset % 60);
    if minutes > 0 || seconds > 0 {
        shown.push_str(&format!(":{minutes:02}"));
    }
    if seconds > 0 {
        shown.push_str(&format!(":{seconds:02}"));
    }
    shown
}

/// DuckDB's BIGNUM: a header of three bytes, whose first bit is set for numbers that are not negative, then the digits
/// to the base 256, the first one first; all bits are inverted for negative ones.
fn bignum(bytes: &[u8]) -> String {
    let Some(digits) = bytes.get(3..) else { return String::new() };
    let negative = bytes[0] & 0x80 == 0;
    let mut decimal: Vec<u8> = vec![0];
    for byte in digits {
        let mut carry = u32::from(if negative { !byte } else { *byte });
        for digit in &mut decimal {
            carry += u32::from(*digit) * 256;
            *digit = (carry % 10) as u8;
            carry /= 10;
        }
        while carry > 0 {
            decimal.push((carry % 10) as u8);
            carry /= 10;
        }
    }
    let sign = if negative { "-" } else { "" };
    sign.chars().chain(decimal.iter().rev().map(|digit| char::from(b'0' + digit))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_duckdb_are_read_as_it_writes_them() {
        assert_eq!(
            uuid(&u128::to_be_bytes(0x1234_5678_9abc_def0_1122_3344_5566_7788)),
            "12345678-9abc-def0-1122-334455667788"
        );
        assert_eq!(bits(&[3, 0b1111_0101]), "10101");
        assert_eq!(bits(&[0, 0b1000_0001, 0xff]), "1000000111111111");
        let at = |micros: u64, offset: i64| {
            time_tz(&((micros << 24) | u64::try_from(16 * 3600 - 1 - offset).unwrap()).to_le_bytes())
        };
        assert_eq!(at(45_296_000_000, 0), "12:34:56+00");
        assert_eq!(at(45_296_120_000, -5 * 3600 - 1800), "12:34:56.12-05:30");
        assert_eq!(bignum(&[0x80, 0, 2, 1, 0]), "256");
        assert_eq!(bignum(&[0x7f, 0xff, 0xfe, !1]), "-1");
        assert_eq!(bignum(&[0x80, 0, 1, 0]), "0");
    }
}
