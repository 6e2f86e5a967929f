//! Values come back as they are, whatever their column declares.
#![expect(clippy::expect_used, clippy::panic, reason = "a test's own way to fail")]

mod common;

use std::fmt::Write;

use arrow::{
    array::{Array, ArrayRef, AsArray, UnionArray},
    datatypes::{DataType, Float64Type, Int64Type},
};
use common::Place;
use dbmux_engine::EngineError;
use proptest::prelude::*;

/// A value of SQLite's.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    /// Text that need not be UTF-8.
    Bytes(Vec<u8>),
    Blob(Vec<u8>),
}

impl Value {
    fn literal(&self) -> String {
        let hex = |bytes: &[u8]| {
            bytes.iter().fold(String::new(), |mut text, byte| {
                write!(text, "{byte:02x}").expect("a text");
                text
            })
        };
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Integer(i64::MIN) => "-9223372036854775807 - 1".to_owned(),
            Self::Integer(value) => value.to_string(),
            Self::Real(value) => format!("{value:?}"),
            Self::Text(text) => format!("CAST(x'{}' AS TEXT)", hex(text.as_bytes())),
            Self::Bytes(bytes) => format!("CAST(x'{}' AS TEXT)", hex(bytes)),
            Self::Blob(bytes) => format!("x'{}'", hex(bytes)),
        }
    }

    /// The same, though a whole number may have come as the double that it is.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(whole), Self::Real(real)) => {
                *real as i64 == *whole && (*whole as f64).to_bits() == real.to_bits()
            }
            (Self::Real(one), Self::Real(two)) => one.to_bits() == two.to_bits(),
            (one, other) => one == other,
        }
    }
}

fn of(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Int64 => Value::Integer(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Value::Real(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::Binary => Value::Blob(array.as_binary::<i32>().value(row).to_owned()),
        DataType::Union(..) => {
            let union = array.as_any().downcast_ref::<UnionArray>().expect("a union");
            let value = of(&union.value(row), 0);
            match (union.type_id(row), value) {
                (4, Value::Blob(bytes)) => Value::Bytes(bytes),
                (_, value) => value,
            }
        }
        other => panic!("{other}"),
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Integer),
        (-3i64..3).prop_map(Value::Integer),
        (-1e300f64..1e300).prop_map(Value::Real),
        "[a-zé\\x00-\\x7f]{0,12}".prop_map(|text| Value::Text(format!("t{text}"))),
        Just(Value::Text(String::new())),
        prop::collection::vec(any::<u8>(), 0..8).prop_map(|mut bytes| {
            bytes.insert(0, 0xff);
            Value::Bytes(bytes)
        }),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(Value::Blob),
    ]
}

const DECLARED: [&str; 9] = ["INTEGER", "REAL", "TEXT", "BLOB", "NUMERIC", "BOOLEAN", "DATETIME", "STRING", ""];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost(values in prop::collection::vec(value(), 1..12)) {
        let place = Place::new();
        let mut session = place.session();
        for (number, declared) in DECLARED.iter().enumerate() {
            session.run(&format!("CREATE TABLE t{number} (n INTEGER PRIMARY KEY, a {declared})"));
            let rows: Vec<_> = values.iter().map(|value| format!("(NULL, {})", value.literal())).collect();
            session.run(&format!("INSERT INTO t{number} VALUES {}", rows.join(", ")));
            // What SQLite has kept: affinity may have changed it on the way in.
            let kept = session.batches(&format!("SELECT typeof(a), quote(a), a FROM t{number} ORDER BY n")).expect("rows");
            let batch = &kept[0];
            for (row, given) in values.iter().enumerate() {
                let class = batch.column(0).as_string::<i32>().value(row);
                let came = of(batch.column(2), row);
                let fits = matches!(
                    (class, &came),
                    ("null", Value::Null)
                        | ("integer", Value::Integer(_))
                        | ("real" | "integer", Value::Real(_))
                        | ("text", Value::Text(_) | Value::Bytes(_))
                        | ("blob", Value::Blob(_))
                );
                prop_assert!(fits, "{} {} {:?}", declared, class, came);
                // Where affinity changes nothing, it is what was given.
                let same = matches!((given, class), (Value::Null, _) | (Value::Integer(_), "integer") | (Value::Real(_), "real")
                    | (Value::Text(_) | Value::Bytes(_), "text") | (Value::Blob(_), "blob"));
                if same {
                    prop_assert!(given.is(&came), "{}: {:?} came as {:?}", declared, given, came);
                }
            }
        }
    }
}

#[test]
fn a_declared_type_is_kept_where_the_values_keep_it() {
    let place = Place::new();
    let mut session = place.session();
    session.run("CREATE TABLE t (i INTEGER, r REAL, s VARCHAR(9), b BLOB, d DECIMAL(10,2), f BOOLEAN, w DATETIME, n)");
    session.run(
        "INSERT INTO t VALUES (1, 2, 'x', x'00', 5, TRUE, '2024-01-01', NULL), (2, 2.5, 'y', x'', 5.25, 0, NULL, 7)",
    );
    let types = |batch: &arrow::array::RecordBatch| {
        batch.schema().fields().iter().map(|field| field.data_type().to_string()).collect::<Vec<_>>().join(" ")
    };
    let rows = session.batches("SELECT * FROM t").expect("rows");
    assert_eq!(types(&rows[0]), "Int64 Float64 Utf8 Binary Float64 Int64 Utf8 Int64");
    // Expressions go by their values.
    let rows = session.batches("SELECT count(*), avg(i), upper(s), NULL, 1 + 0.5, i || s FROM t").expect("rows");
    assert_eq!(types(&rows[0]), "Int64 Float64 Utf8 Null Float64 Utf8");
    let prepared = session.0.prepare("SELECT i, r, s, b, d, f, w, n, count(*) FROM t").expect("it reads");
    let foretold: Vec<_> = prepared.schema.fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(foretold.join(" "), "Int64 Float64 Utf8 Binary Float64 Int64 Utf8 Null Null");
}

#[test]
fn a_value_that_comes_late_and_fits_not_is_an_error_once() {
    let place = Place::new();
    let mut session = place.session();
    session.run(
        "CREATE TABLE t (a INTEGER); WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000) \
         INSERT INTO t SELECT CASE x WHEN 15000 THEN 'late' ELSE x END FROM n",
    );
    let error = session.error("SELECT a FROM t");
    assert!(
        matches!(&error, EngineError::Sql { sqlstate: "42804", message } if message.contains("row 15000")),
        "{error}"
    );
    let rows = session.batches("SELECT a FROM t").expect("a union now");
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 20_000);
    assert!(rows.len() > 2, "it streams");
    assert!(matches!(rows[0].schema().field(0).data_type(), DataType::Union(..)));
    assert_eq!(session.text("SELECT a FROM t WHERE typeof(a) = 'text'"), "late");
}

#[test]
fn a_result_streams_and_can_be_left() {
    let place = Place::new();
    let mut session = place.session();
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x, x || 'é' FROM n";
    let prepared = session.0.prepare(endless).expect("it reads");
    for _ in 0..3 {
        let mut rows = session.0.execute(prepared.id, None, true).expect("rows");
        let mut seen = 0;
        while seen < 30_000 {
            seen += rows.next().expect("rows").expect("more").num_rows();
        }
    }
    assert_eq!(session.text("SELECT 1"), "1");
    // And interrupted.
    let interrupter = session.0.interrupter();
    let mut rows = session.0.execute(prepared.id, None, false).expect("rows");
    let thread = std::thread::spawn(move || interrupter.interrupt());
    let ended = loop {
        match rows.next() {
            Ok(Some(_)) => {}
            ended => break ended.map(drop),
        }
    };
    assert!(matches!(ended, Err(EngineError::Interrupted)), "{ended:?}");
    thread.join().expect("it ends");
    drop(rows);
    assert_eq!(session.text("SELECT 2"), "2");
}
