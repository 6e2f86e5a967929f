//! An answer on standard output, in the form that was asked for, as it arrives.

use std::io::{BufWriter, Write};

use super::{
    arrow::ArrowSink,
    csv::CsvSink,
    json::JsonSink,
    sink::Sink,
    table::{Limits, TableSink},
};
use crate::args::Format;

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

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Arc};

    use arrow::{
        array::{
            Array, ArrayRef, BinaryArray, Decimal128Array, FixedSizeBinaryArray, Float64Array, Int64Array,
            Int64Builder, IntervalMonthDayNanoArray, ListArray, MapBuilder, RecordBatch, StringArray, StringBuilder,
            StructArray, TimestampMicrosecondArray,
        },
        datatypes::{DataType, Field, Int64Type, IntervalMonthDayNano, Schema, SchemaRef},
    };

    use super::*;

    /// The extension types as DuckDB tells them.
    fn extension(name: &str, array: &dyn Array, kind: &str) -> Field {
        let field = Field::new(name, array.data_type().clone(), true);
        let mut metadata = HashMap::from([("ARROW:extension:name".to_owned(), kind.to_owned())]);
        if kind.starts_with('{') {
            metadata.insert("ARROW:extension:name".to_owned(), "arrow.opaque".to_owned());
            metadata.insert("ARROW:extension:metadata".to_owned(), kind.to_owned());
        }
        field.with_metadata(metadata)
    }

    fn every_kind() -> RecordBatch {
        let fixed =
            |values: [&[u8]; 2]| Arc::new(FixedSizeBinaryArray::try_from_iter(values.into_iter()).unwrap()) as ArrayRef;
        let uuid = fixed([&[0x11; 16], &[0xab; 16]]);
        let huge = fixed([&i128::MAX.to_le_bytes(), &i128::MIN.to_le_bytes()]);
        let mut map = MapBuilder::new(None, Int64Builder::new(), StringBuilder::new());
        map.keys().append_value(1);
        map.values().append_value("a\"b");
        map.append(true).unwrap();
        map.append(false).unwrap();
        let text = Arc::new(StringArray::from(vec![Some("a,\"b\"\nc\x1b[31m"), None])) as ArrayRef;
        let number = Arc::new(Int64Array::from(vec![Some(i64::MIN), None])) as ArrayRef;
        let part = |name: &str, array: &ArrayRef| {
            (Arc::new(Field::new(name, array.data_type().clone(), true)), Arc::clone(array))
        };
        let columns: Vec<(Field, ArrayRef)> = vec![
            ("number", Arc::clone(&number)),
            ("real", Arc::new(Float64Array::from(vec![0.1, f64::NEG_INFINITY]))),
            (
                "decimal",
                Arc::new(Decimal128Array::from(vec![Some(-12_345), None]).with_precision_and_scale(38, 3).unwrap()),
            ),
            ("text", Arc::clone(&text)),
            ("blob", Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None]))),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_357_034_400_000_001), None]))),
            ("zoned", Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None]).with_timezone("Europe/Paris"))),
            (
                "interval",
                Arc::new(IntervalMonthDayNanoArray::from(vec![
                    Some(IntervalMonthDayNano::new(14, 3, 1_500_000_000)),
                    None,
                ])),
            ),
            ("list", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]))),
            ("struct", Arc::new(StructArray::from(vec![part("n", &number), part("t", &text)]))),
            ("map", Arc::new(map.finish())),
            ("number", number),
        ]
        .into_iter()
        .map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array))
        .chain([
            (extension("uuid", &uuid, "arrow.uuid"), Arc::clone(&uuid)),
            (extension("huge", &huge, r#"{"type_name":"hugeint","vendor_name":"DuckDB"}"#), Arc::clone(&huge)),
        ])
        .collect();
        let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
    }

    fn written(format: Format, batches: &[RecordBatch], schema: &SchemaRef, limits: Limits) -> Vec<u8> {
        let mut output = Vec::new();
        let mut sink = sink(format, limits, &mut output);
        sink.begin(schema).unwrap();
        for batch in batches {
            sink.batch(batch).unwrap();
        }
        sink.end().unwrap();
        drop(sink);
        output
    }

    const ALL: Limits = Limits { rows: None, width: None };

    fn text_of(format: Format, batches: &[RecordBatch]) -> String {
        String::from_utf8(written(format, batches, &batches[0].schema(), ALL)).unwrap()
    }

    #[test]
    fn every_kind_of_value_is_written_whole() {
        let batch = every_kind();
        insta::assert_snapshot!("every-kind-json", text_of(Format::Json, std::slice::from_ref(&batch)));
        insta::assert_snapshot!("every-kind-jsonl", text_of(Format::Jsonl, &[batch.clone(), batch.clone()]));
        insta::assert_snapshot!("every-kind-csv", text_of(Format::Csv, &[batch.clone(), batch.clone()]));
        insta::assert_snapshot!("every-kind-table", text_of(Format::Table, std::slice::from_ref(&batch)));
        let bytes = written(Format::Arrow, std::slice::from_ref(&batch), &batch.schema(), ALL);
        let mut read = arrow::ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
        assert_eq!(read.next().unwrap().unwrap(), batch);
        assert!(read.next().is_none());
    }

    #[test]
    fn json_of_every_kind_is_json() {
        let batch = every_kind();
        let parsed: serde_json::Value = serde_json::from_str(&text_of(Format::Json, &[batch.clone(), batch])).unwrap();
        assert_eq!(parsed.as_array().unwrap().len(), 4);
        assert_eq!(parsed[0]["number"], i64::MIN);
        assert_eq!(parsed[0]["number_1"], i64::MIN);
        assert_eq!(parsed[1]["real"], "-Infinity");
        assert_eq!(parsed[1]["text"], serde_json::Value::Null);
    }

    #[test]
    fn no_rows_are_an_empty_array_a_header_a_table() {
        let schema: SchemaRef =
            Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)]));
        let text = |format| String::from_utf8(written(format, &[], &schema, ALL)).unwrap();
        assert_eq!(text(Format::Json).trim(), "[]");
        assert_eq!(text(Format::Jsonl), "");
        assert_eq!(text(Format::Csv), "a,b\n");
        insta::assert_snapshot!(text(Format::Table));
        let bytes = written(Format::Arrow, &[], &schema, ALL);
        let read = arrow::ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
        assert_eq!(read.schema(), schema);
    }

    #[test]
    fn a_terminal_gets_no_more_than_it_can_show() {
        let columns = [
            Arc::new(Int64Array::from_iter_values(0..2500)) as ArrayRef,
            Arc::new(StringArray::from(vec!["x".repeat(500); 2500])),
        ];
        let batch = RecordBatch::try_from_iter(["n", "t"].into_iter().zip(columns)).unwrap();
        let limits = Limits { rows: Some(3), width: Some(60) };
        let text = String::from_utf8(written(Format::Table, &[batch.clone(), batch.clone()], &batch.schema(), limits))
            .unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
        assert!(text.ends_with("3 of 5,000 rows; --max-rows 0 shows all\n"), "{text}");
    }
}
