//! Every type of DuckDB's crosses to Arrow, and back as a parameter, and is the same.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by panicking"
)]

use std::sync::Arc;

use crate::support::{Database, Session};
use arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
        DurationMicrosecondArray, FixedSizeBinaryArray, Float16Array, Float32Array, Float64Array, Int8Array,
        Int32Array, Int64Array, IntervalMonthDayNanoArray, LargeStringArray, ListArray, NullArray, RecordBatch,
        StringArray, StringViewArray, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray,
        TimestampMillisecondArray, TimestampNanosecondArray, UInt64Array,
    },
    datatypes::{DataType, Decimal128Type, Field, Int32Type, IntervalMonthDayNano, Schema},
};
use dbmux_engine::EngineError;

/// The rows of one column, as Arrow, with its field.
fn column(session: &mut Session, sql: &str) -> (Field, ArrayRef) {
    let prepared = session.0.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let mut rows = session.0.execute(prepared.id, None, false).unwrap();
    let schema = rows.schema();
    assert_eq!(schema, prepared.schema, "{sql}: what was promised");
    let mut batches = Vec::new();
    while let Some(batch) = rows.next().unwrap() {
        batches.push(batch);
    }
    let batch = arrow::compute::concat_batches(&schema, &batches).unwrap();
    (schema.field(0).clone(), Arc::clone(batch.column(0)))
}

fn parameter(field: &Field, values: ArrayRef) -> RecordBatch {
    RecordBatch::try_new(Arc::new(Schema::new(vec![field.clone().with_name("1")])), vec![values]).unwrap()
}

#[test]
fn all_types_cross_and_come_back() {
    let database = Database::new("a.db");
    let mut session = database.session();
    session.run("CREATE TABLE t AS SELECT row_number() OVER () AS row, * FROM test_all_types()");
    session.run(
        "CREATE OR REPLACE TABLE t AS SELECT *, [uuid '00112233-4455-6677-8899-aabbccddeeff', NULL] AS uuids, \
         {'h': 17014118346046923173168730371588410572::HUGEINT, 'b': '0101'::BIT, 't': '01:02:03+04:05'::TIMETZ} AS s, \
         MAP {'k': 340282366920938463463374607431768211455::UHUGEINT} AS m, [true, NULL, false] AS bools, \
         {'a': 1, 'b': [2, 3]}::VARIANT AS v, '[1, {\"a\": null}]'::JSON AS j FROM t",
    );
    let columns = session.run("SELECT column_name FROM (DESCRIBE t) WHERE column_name <> 'row'");
    assert!(columns.len() > 60, "{}", columns.len());
    for name in columns.into_iter().flatten() {
        let (field, values) = column(&mut session, &format!("SELECT \"{name}\" FROM t ORDER BY row"));
        assert_eq!(values.len(), 3, "{name}");
        for row in 0..values.len() {
            let given = parameter(&field, values.slice(row, 1));
            let sql = format!("SELECT \"{name}\" IS NOT DISTINCT FROM $1 FROM t WHERE row = {}", row + 1);
            let answer = session.try_run_with(&sql, Some(&given), false);
            let same = answer.as_ref().is_ok_and(|answer| answer[0][0] == "true");
            // The last digit of the largest ones is more than a decimal parameter takes.
            if name == "hugeint" && row < 2 {
                let bits = [i128::MIN, i128::MAX][row];
                assert_eq!(values.as_primitive::<Decimal128Type>().value(row), bits);
                continue;
            }
            // Arrow's unions have no NULL of their own: a NULL one comes back as its first member's NULL.
            let union = name == "union" && row == 2;
            assert!(same || union, "{name}, row {row}: {field:?}: {answer:?}");
        }
    }
}

#[test]
fn the_table_in_the_documentation_is_true() {
    let database = Database::new("a.db");
    let mut session = database.session();
    let text = |name: &str| (DataType::Utf8, Some(format!("{{\"type_name\":\"{name}\",\"vendor_name\":\"DuckDB\"}}")));
    for (expression, (data_type, mark)) in [
        ("true", (DataType::Boolean, None)),
        ("1::HUGEINT", (DataType::Decimal128(38, 0), None)),
        ("sum(1)", (DataType::Decimal128(38, 0), None)),
        ("1::UHUGEINT", text("uhugeint")),
        ("uuid()", text("uuid")),
        ("'01'::BIT", text("bit")),
        ("'01:02:03+04'::TIMETZ", text("time_tz")),
        ("1::BIGNUM", text("bignum")),
        ("'1 day'::INTERVAL", (DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano), None)),
        ("'a'::ENUM('a', 'b')", (DataType::Dictionary(Box::new(DataType::UInt8), Box::new(DataType::Utf8)), None)),
    ] {
        let (field, _) = column(&mut session, &format!("SELECT {expression} AS x"));
        let found = field.metadata().get("ARROW:extension:metadata").cloned();
        assert_eq!((field.data_type(), &found), (&data_type, &mark), "{expression}");
    }
    let (_, values) = column(&mut session, "SELECT 170141183460469231731687303715884105727::HUGEINT");
    assert_eq!(values.as_primitive::<Decimal128Type>().value(0), i128::MAX);
}

#[test]
fn parameters_of_arrows_types_are_taken() {
    let database = Database::new("a.db");
    let mut session = database.session();
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None])]);
    let fields = Field::new("a", DataType::Int32, true);
    let structs = StructArray::from(vec![(Arc::new(fields), Arc::new(Int32Array::from(vec![7])) as ArrayRef)]);
    let dictionary: DictionaryArray<Int32Type> = ["hello"].into_iter().collect();
    let cases: Vec<(ArrayRef, &str, &str)> = vec![
        (Arc::new(Int8Array::from(vec![-5])), "TINYINT", "-5"),
        (Arc::new(Int64Array::from(vec![i64::MIN])), "BIGINT", "-9223372036854775808"),
        (Arc::new(UInt64Array::from(vec![u64::MAX])), "UBIGINT", "18446744073709551615"),
        (Arc::new(Float32Array::from(vec![1.5])), "FLOAT", "1.5"),
        (Arc::new(Float64Array::from(vec![f64::INFINITY])), "DOUBLE", "inf"),
        (Arc::new(BooleanArray::from(vec![true])), "BOOLEAN", "true"),
        (Arc::new(StringArray::from(vec!["it's"])), "VARCHAR", "it's"),
        (Arc::new(LargeStringArray::from(vec!["large"])), "VARCHAR", "large"),
        (
            Arc::new(StringViewArray::from(vec!["a view of more than twelve bytes"])),
            "VARCHAR",
            "a view of more than twelve bytes",
        ),
        (Arc::new(BinaryArray::from(vec![b"\x00\xff".as_slice()])), "BLOB", "\\x00\\xFF"),
        (Arc::new(FixedSizeBinaryArray::try_from_iter([[1u8, 2]].into_iter()).unwrap()), "BLOB", "\\x01\\x02"),
        (
            Arc::new(Decimal128Array::from(vec![12345]).with_precision_and_scale(10, 2).unwrap()),
            "DECIMAL(10,2)",
            "123.45",
        ),
        (Arc::new(Date32Array::from(vec![19000])), "DATE", "2022-01-08"),
        (Arc::new(Time64MicrosecondArray::from(vec![3_723_000_004])), "TIME", "01:02:03.000004"),
        (Arc::new(TimestampMicrosecondArray::from(vec![1_000_000])), "TIMESTAMP", "1970-01-01 00:00:01"),
        (Arc::new(TimestampMillisecondArray::from(vec![1500])), "TIMESTAMP_MS", "1970-01-01 00:00:01.5"),
        (Arc::new(TimestampNanosecondArray::from(vec![5])), "TIMESTAMP_NS", "1970-01-01 00:00:00.000000005"),
        (Arc::new(DurationMicrosecondArray::from(vec![90_000_000])), "INTERVAL", "00:01:30"),
        (
            Arc::new(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(14, 3, 4_000)])),
            "INTERVAL",
            "1 year 2 months 3 days 00:00:00.000004",
        ),
        (Arc::new(NullArray::new(1)), "\"NULL\"", "NULL"),
        (Arc::new(Int32Array::from(vec![None])), "INTEGER", "NULL"),
        (Arc::new(list), "INTEGER[]", "[1, NULL]"),
        (Arc::new(structs), "STRUCT(a INTEGER)", "{'a': 7}"),
        (Arc::new(dictionary), "VARCHAR", "hello"),
    ];
    for (values, type_name, text) in cases {
        let field = Field::new("1", values.data_type().clone(), true);
        let given = parameter(&field, values);
        let answer = session.try_run_with("SELECT typeof($1), $1::VARCHAR", Some(&given), false);
        let answer = answer.unwrap_or_else(|error| panic!("{type_name}: {error:?}"));
        assert_eq!(answer, [[type_name, text]], "{}", field.data_type());
    }
    let half = Float16Array::from(vec![None]);
    let given = parameter(&Field::new("1", DataType::Float16, true), Arc::new(half));
    match session.try_run_with("SELECT $1", Some(&given), false) {
        Err(EngineError::Unsupported { what, .. }) => assert!(what.contains("Float16"), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn parameters_go_by_number_and_by_name() {
    let database = Database::new("a.db");
    let mut session = database.session();
    let batch = |names: &[&str]| {
        let columns = names
            .iter()
            .enumerate()
            .map(|(index, name)| (*name, Arc::new(Int32Array::from(vec![index as i32 + 1])) as ArrayRef));
        RecordBatch::try_from_iter(columns).unwrap()
    };
    for (sql, names, expected) in [
        ("SELECT $1, $2", vec!["1", "2"], Some(["1", "2"])),
        ("SELECT ?, ?", vec!["$1", "$2"], Some(["1", "2"])),
        ("SELECT $2, $1", vec!["1", "2"], Some(["2", "1"])),
        ("SELECT $b, $a", vec!["a", "b"], Some(["2", "1"])),
        ("SELECT $b, $A", vec!["$a", ":B"], Some(["2", "1"])),
        ("SELECT $b, $a", vec!["a", "c"], None),
        ("SELECT $1, $2", vec!["1"], None),
        ("SELECT 1, 2", vec!["1"], None),
        ("SELECT $1, $2", vec![], None),
    ] {
        let given = (!names.is_empty()).then(|| batch(&names));
        let answer = session.try_run_with(sql, given.as_ref(), false);
        match expected {
            Some(expected) => assert_eq!(answer.unwrap(), [expected], "{sql} {names:?}"),
            None => assert!(matches!(answer, Err(EngineError::Sql { .. })), "{sql} {names:?}: {answer:?}"),
        }
    }
    let two = RecordBatch::try_from_iter([("1", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
    let answer = session.try_run_with("SELECT $1", Some(&two), false);
    assert!(matches!(answer, Err(EngineError::Sql { .. })), "{answer:?}");
    // What is known of parameters when a statement is prepared.
    session.run("CREATE TABLE t (a INTEGER, b VARCHAR)");
    let prepared = session.0.prepare("INSERT INTO t VALUES ($1, $2)").unwrap();
    let types: Vec<_> = prepared.parameters.fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(types, [DataType::Int32, DataType::Utf8]);
    let prepared = session.0.prepare("SELECT $name").unwrap();
    assert_eq!(
        (prepared.parameters.field(0).name().as_str(), prepared.parameters.field(0).data_type()),
        ("name", &DataType::Null)
    );
}
