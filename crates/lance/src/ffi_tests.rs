//! Every type that Lance keeps, there and back, whole and in slices.

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array, Decimal256Array,
        DictionaryArray, DurationMicrosecondArray, FixedSizeBinaryArray, FixedSizeListArray, Float16Array,
        Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, LargeBinaryArray, LargeListArray,
        LargeStringArray, ListArray, NullArray, StringArray, StructArray, Time32SecondArray, Time64NanosecondArray,
        TimestampMicrosecondArray, TimestampNanosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
    },
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{Field, Float32Type, Int32Type, Schema, i256},
};

use std::collections::HashMap;

use super::*;

fn every_type() -> RecordBatch {
    let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
        [Some(vec![Some(1.0), Some(2.0)]), None, Some(vec![None, Some(4.0)]), Some(vec![Some(5.0), Some(6.0)])],
        2,
    );
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
        Some(vec![Some(7), Some(8), Some(9)]),
    ]);
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    let words = Arc::new(StringArray::from(vec![Some("a"), None, Some("c")]));
    let large = LargeListArray::new(item, OffsetBuffer::new(vec![0i64, 1, 1, 3, 3].into()), words, None);
    let inner: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None, Some("z"), Some("")]));
    let number: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
    let nested = StructArray::new(
        vec![Field::new("s", DataType::Utf8, true), Field::new("n", DataType::Int64, false)].into(),
        vec![inner, number],
        Some(NullBuffer::from(vec![true, true, false, true])),
    );
    let dictionary: DictionaryArray<Int32Type> =
        vec![Some("red"), None, Some("blue"), Some("red")].into_iter().collect();
    let half = <arrow::datatypes::Float16Type as arrow::datatypes::ArrowPrimitiveType>::default_value;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("null", Arc::new(NullArray::new(4))),
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true)]))),
        ("i8", Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(0), Some(i8::MAX)]))),
        ("i16", Arc::new(Int16Array::from(vec![1, 2, 3, 4]))),
        ("i32", Arc::new(Int32Array::from(vec![Some(1), None, Some(3), Some(4)]))),
        ("i64", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(0), Some(i64::MAX)]))),
        ("u8", Arc::new(UInt8Array::from(vec![1, 2, 3, 4]))),
        ("u16", Arc::new(UInt16Array::from(vec![1, 2, 3, 4]))),
        ("u32", Arc::new(UInt32Array::from(vec![1, 2, 3, 4]))),
        ("u64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, Some(0), Some(1)]))),
        ("f16", Arc::new(Float16Array::from(vec![half(); 4]))),
        ("f32", Arc::new(Float32Array::from(vec![Some(f32::NAN), None, Some(-0.0), Some(1.5)]))),
        ("f64", Arc::new(Float64Array::from(vec![Some(f64::INFINITY), None, Some(0.0), Some(1.5)]))),
        ("utf8", Arc::new(StringArray::from(vec![Some("ä"), None, Some(""), Some("long enough to matter")]))),
        ("large_utf8", Arc::new(LargeStringArray::from(vec![Some("ä"), None, Some(""), Some("b")]))),
        ("binary", Arc::new(BinaryArray::from(vec![Some(&b"\0\xff"[..]), None, Some(b""), Some(b"c")]))),
        ("large_binary", Arc::new(LargeBinaryArray::from(vec![Some(&b"\0"[..]), None, Some(b""), Some(b"c")]))),
        ("fixed", Arc::new(FixedSizeBinaryArray::try_from_iter(["ab", "cd", "ef", "gh"].iter()).unwrap())),
        ("date32", Arc::new(Date32Array::from(vec![Some(-1), None, Some(0), Some(20_000)]))),
        ("date64", Arc::new(Date64Array::from(vec![Some(-86_400_000), None, Some(0), Some(86_400_000)]))),
        ("time32", Arc::new(Time32SecondArray::from(vec![0, 1, 2, 86_399]))),
        ("time64", Arc::new(Time64NanosecondArray::from(vec![0, 1, 2, 3]))),
        ("ts_ns", Arc::new(TimestampNanosecondArray::from(vec![Some(i64::MIN), None, Some(0), Some(1)]))),
        (
            "ts_utc",
            Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), None, Some(0), Some(1)]).with_timezone("UTC")),
        ),
        ("duration", Arc::new(DurationMicrosecondArray::from(vec![Some(-1), None, Some(0), Some(1)]))),
        (
            "d128",
            Arc::new(
                Decimal128Array::from(vec![Some(-12_345), None, Some(0), Some(1)])
                    .with_precision_and_scale(10, 2)
                    .unwrap(),
            ),
        ),
        ("d256", Arc::new(Decimal256Array::from(vec![Some(i256::MINUS_ONE), None, Some(i256::ZERO), Some(i256::ONE)]))),
        ("vector", Arc::new(vectors)),
        ("list", Arc::new(lists)),
        ("large_list", Arc::new(large)),
        ("struct", Arc::new(nested)),
        ("dictionary", Arc::new(dictionary)),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| {
            let field = Field::new(*name, column.data_type().clone(), true);
            field.with_metadata(HashMap::from([("unit".to_owned(), (*name).to_owned())]))
        })
        .collect();
    let schema = Schema::new_with_metadata(fields, HashMap::from([("made by".to_owned(), "a test".to_owned())]));
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, column)| column).collect()).unwrap()
}

fn there_and_back(batch: &RecordBatch) -> RecordBatch {
    let theirs = batch_to_theirs(batch).unwrap();
    assert_eq!(theirs.num_rows(), batch.num_rows());
    let schema = schema_to_ours(&theirs.schema()).unwrap();
    batch_to_ours(theirs, &schema).unwrap()
}

#[test]
fn every_type_crosses_whole_and_in_slices() {
    let batch = every_type();
    for (start, length) in [(0, 4), (1, 3), (1, 2), (3, 1), (2, 0)] {
        let slice = batch.slice(start, length);
        let back = there_and_back(&slice);
        assert_eq!(back.schema(), slice.schema());
        // NaN is not equal to itself: by their text.
        assert_eq!(format!("{back:?}"), format!("{slice:?}"), "rows {start} to {}", start + length);
    }
}

#[test]
fn values_are_not_copied() {
    let numbers = Float32Array::from_iter_values((0..50_000u16).map(f32::from));
    let address = numbers.values().as_ptr();
    let batch = RecordBatch::try_from_iter([("n", Arc::new(numbers) as ArrayRef)]).unwrap();
    let theirs = batch_to_theirs(&batch).unwrap();
    drop(batch);
    let schema = schema_to_ours(&theirs.schema()).unwrap();
    let back = batch_to_ours(theirs, &schema).unwrap();
    let column = back.column(0).as_any().downcast_ref::<Float32Array>().unwrap();
    assert_eq!(column.values().as_ptr(), address);
    assert_eq!(column.value(49_999), 49_999.0);
}

#[test]
fn a_batch_without_columns_keeps_its_rows() {
    let options = RecordBatchOptions::new().with_row_count(Some(3));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    assert_eq!(there_and_back(&batch).num_rows(), 3);
}
