//! What the fixture answers to which statement.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, ListArray, NullArray, RecordBatch,
        RecordBatchOptions, StringArray, StructArray,
    },
    datatypes::{Field, Int8Type, Int32Type, Schema, SchemaRef},
    util::display::{ArrayFormatter, FormatOptions},
};
use dbmux_engine::{ErrorCode, ResultShape, ServiceError, StatementKind};

use crate::service::kind_of;

type Fixed = (StatementKind, ResultShape, Vec<RecordBatch>);

/// The answer to a statement; at least one batch, so that its columns are known.
pub(crate) fn answer(sql: &str, parameters: Option<&RecordBatch>) -> Result<Fixed, ServiceError> {
    let (kind, shape) = kind_of(sql);
    let mut words = sql.split_whitespace();
    if let Some(batch) = catalog(sql) {
        return Ok((kind, shape, vec![batch]));
    }
    let batches = match (shape, words.next().unwrap_or_default()) {
        (ResultShape::RowsChanged, _) => vec![one("Count", Arc::new(Int64Array::from(vec![1])))],
        (ResultShape::Nothing, _) => vec![nothing()],
        (_, "bad") => {
            let mut error = ServiceError::new(ErrorCode::Sql, "no such table: bad").suggest("look at SHOW TABLES");
            error.0.sqlstate = "42P01".to_owned();
            return Err(error);
        }
        (_, "code") => {
            let number: i32 = words.next().unwrap().parse().unwrap();
            return Err(ServiceError::new(ErrorCode::try_from(number).unwrap(), format!("error {number}")));
        }
        (_, "echo") => vec![parameters.cloned().unwrap_or_else(nothing)],
        (_, "rows") => rows(words.next().unwrap().parse().unwrap()),
        (_, "big") => vec![big()],
        (_, "types") => types(),
        (_, "empty") => vec![one("a", Arc::new(Int32Array::from(Vec::<i32>::new())))],
        (_, "nothing") => vec![nothing()],
        (_, "liar") => vec![rows(0).remove(0), types().remove(0)],
        (_, "fail" | "endless") => rows(10_000),
        _ => vec![one("42", Arc::new(Int32Array::from(vec![42])))],
    };
    Ok((kind, shape, batches))
}

/// What the catalog's own questions are answered with.
fn catalog(sql: &str) -> Option<RecordBatch> {
    let texts = |values: &[&str]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let columns: Vec<(&str, ArrayRef)> = if sql == "tables" {
        vec![
            ("database_name", texts(&["sales", "sales", "temp"])),
            ("schema_name", texts(&["main", "main", "main"])),
            ("name", texts(&["orders", "latest", "scratch"])),
            ("kind", texts(&["BASE TABLE", "VIEW", "LOCAL TEMPORARY"])),
        ]
    } else if sql.starts_with("SELECT DISTINCT database FROM") {
        vec![("database_name", texts(&["sales", "temp"]))]
    } else if sql.starts_with("SELECT DISTINCT *") {
        vec![("database_name", texts(&["sales", "sales"])), ("schema_name", texts(&["main", "marts"]))]
    } else if sql.contains("primary_keys") {
        let sequence = Arc::new(Int64Array::from(vec![1, 2]));
        vec![
            ("database_name", texts(&["sales"; 2])),
            ("schema_name", texts(&["main"; 2])),
            ("table_name", texts(&["orders"; 2])),
            ("column_name", texts(&["day", "id"])),
            ("constraint_name", texts(&["orders_pk"; 2])),
            ("key_sequence", sequence),
        ]
    } else if sql == "current" {
        vec![("catalog", texts(&["sales"])), ("schema", texts(&["main"]))]
    } else {
        return None;
    };
    Some(RecordBatch::try_from_iter(columns).unwrap())
}

pub(crate) fn schema(batches: &[RecordBatch]) -> SchemaRef {
    batches[0].schema()
}

fn one(name: &str, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([(name, column, true)]).unwrap()
}

pub(crate) fn nothing() -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(0));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap()
}

/// Three columns, in batches of 100,000 rows.
pub(crate) fn rows(count: i64) -> Vec<RecordBatch> {
    let batch = |from: i64| {
        let ids: Vec<i64> = (from..count.min(from + 100_000)).collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(Int64Array::from(ids.clone()))),
            ("half", Arc::new(Float64Array::from_iter_values(ids.iter().map(|id| *id as f64 / 2.0)))),
            ("group", Arc::new(Int32Array::from_iter_values(ids.iter().map(|id| (*id % 1000) as i32)))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    (0..count.max(1)).step_by(100_000).map(batch).collect()
}

/// One batch of 24 MB, and a row of 5 MB.
fn big() -> RecordBatch {
    let text = |n: i32| if n == 7 { "x".repeat(5 << 20) } else { format!("row {n}") };
    let texts = StringArray::from_iter_values((0..1_000_000).map(text));
    RecordBatch::try_from_iter([("text", Arc::new(texts) as ArrayRef)]).unwrap()
}

/// An enum, a list of structs with an enum inside, and a column of NULL; the dictionary changes in the second batch.
pub(crate) fn types() -> Vec<RecordBatch> {
    let batch = |moods: [&str; 2], keys: Vec<Option<i8>>| {
        let moods = Arc::new(StringArray::from(moods.to_vec()));
        let mood: DictionaryArray<Int8Type> = DictionaryArray::new(keys.into(), moods);
        let count = mood.len();
        let numbers = ListArray::from_iter_primitive::<Int32Type, _, _>(
            (0..count).map(|n| (n != 1).then(|| vec![Some(n as i32), None])),
        );
        let fields = vec![
            (Arc::new(Field::new("mood", mood.data_type().clone(), true)), Arc::new(mood.clone()) as ArrayRef),
            (Arc::new(Field::new("numbers", numbers.data_type().clone(), true)), Arc::new(numbers) as ArrayRef),
        ];
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("mood", Arc::new(mood), true),
            ("pair", Arc::new(StructArray::from(fields)), true),
            ("null", Arc::new(NullArray::new(count)), true),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    };
    vec![batch(["sad", "ok"], vec![Some(0), None, Some(1)]), batch(["glad", "mad"], vec![Some(1), Some(0)])]
}

/// A batch's values, for reading: `1, a; 2, b`.
pub(crate) fn text(batch: &RecordBatch) -> String {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> = batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
    let row = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(", ");
    (0..batch.num_rows()).map(row).collect::<Vec<_>>().join("; ")
}
