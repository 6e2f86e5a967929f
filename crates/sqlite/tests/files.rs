//! Which files are served, and how; settings, and values that come in.

#![expect(clippy::expect_used, clippy::panic, reason = "a test's own way to fail")]

mod common;

use std::{fs, os::unix::fs::symlink, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array, RecordBatch,
        TimestampMicrosecondArray, TimestampSecondArray, UInt64Array,
    },
    datatypes::{Decimal128Type, Int32Type},
};
use common::{Place, Session, text};
use dbmux_engine::{Access, Engine, EngineError, SessionOptions};
use dbmux_sqlite::{SqliteEngine, SqliteOptions, Synchronous, check_kind};

#[test]
fn a_file_of_another_kind_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("it");
    for (name, content, what) in [
        ("a.duckdb", &b"12345678DUCK\0\0\0\0"[..], "a DuckDB database"),
        ("b.parquet", b"PAR1....PAR1", "a Parquet file"),
        ("c.csv", b"a,b\n1,2\n", "a text file"),
        ("d.bin", b"\x7fELF\0\0\0\0", "a file of another kind"),
    ] {
        let path = root.join(name);
        fs::write(&path, content).expect("a file");
        for refused in [
            check_kind(&path).expect_err(name),
            SqliteEngine::new(&path, SqliteOptions::default()).attach(Access::ReadWrite).expect_err(name),
        ] {
            let EngineError::NotADatabase { message, engine: "SQLite", .. } = &refused else { panic!("{refused:?}") };
            assert!(message.contains(what), "{message}");
        }
        assert_eq!(fs::read(&path).expect("it is there"), content);
    }
    assert!(matches!(check_kind(&root), Err(EngineError::NotADatabase { .. })));
    check_kind(&root.join("nothing")).expect("it may become one");
    fs::write(root.join("empty.sqlite"), "").expect("a file");
    check_kind(&root.join("empty.sqlite")).expect("it may become one");
    fs::write(root.join("e.sqlite-wal"), "").expect("a file");
    fs::write(root.join("e.sqlite"), "").expect("a file");
    assert!(matches!(check_kind(&root.join("e.sqlite-wal")), Err(EngineError::Refused { .. })));
    fs::hard_link(root.join("e.sqlite"), root.join("f.sqlite")).expect("a link");
    assert!(matches!(check_kind(&root.join("f.sqlite")), Err(EngineError::Refused { .. })));
    symlink(root.join("nowhere"), root.join("g.sqlite")).expect("a link");
    // Cut off, or with other bytes where its pages should be.
    let mut broken = b"SQLite format 3\0".to_vec();
    broken.resize(4096, 7);
    fs::write(root.join("h.sqlite"), broken).expect("a file");
    let refused = SqliteEngine::new(root.join("h.sqlite"), SqliteOptions::default()).attach(Access::ReadWrite);
    assert!(matches!(refused, Err(EngineError::NotADatabase { .. } | EngineError::Damaged { .. })), "{refused:?}");
}

#[test]
fn a_file_is_attached_to_read_only() {
    let place = Place::new();
    let mut session = place.session();
    session.run("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    place.engine.release().expect("released");
    let attached = place.engine.attach(Access::ReadOnly).expect("attached");
    assert_eq!(attached.access, Access::ReadOnly);
    assert_eq!(session.text("SELECT a FROM t"), "1");
    assert!(matches!(session.error("INSERT INTO t VALUES (2)"), EngineError::ReadOnly { .. }));
    session.run("CREATE TEMP TABLE mine (a); INSERT INTO mine VALUES (1)");
    place.engine.release().expect("released");
    place.engine.attach(Access::ReadWrite).expect("attached");
    session.run("INSERT INTO t SELECT a FROM mine");
    place.engine.release().expect("released");
    let missing = SqliteEngine::new(place.folder.path().join("none.sqlite"), SqliteOptions::default());
    assert!(matches!(missing.attach(Access::ReadOnly), Err(EngineError::NotFound { .. })));
    assert!(!missing.has_file_open());
}

#[test]
fn the_owner_chooses() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().canonicalize().expect("it").join("o.sqlite");
    let options = SqliteOptions {
        synchronous: Synchronous::Normal,
        keep_journal_mode: true,
        cache_size: Some(-512),
        ..SqliteOptions::default()
    };
    let engine = SqliteEngine::new(&path, options);
    engine.attach(Access::ReadWrite).expect("attached");
    let mut session = Session(engine.open_session(&SessionOptions::default()).expect("a session"));
    session.run("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    for (name, expected) in [("synchronous", "1"), ("journal_mode", "delete"), ("cache_size", "-512")] {
        assert_eq!(session.text(&format!("PRAGMA {name}")), expected);
    }
    assert_eq!(engine.settings(), [("synchronous".to_owned(), "NORMAL".to_owned())]);
    engine.release().expect("released");
    assert!(matches!(session.error("SELECT 1"), EngineError::Internal { .. }), "nothing is opened but by attaching");
}

#[test]
fn a_setting_is_changed_when_it_runs_and_each_time() {
    let place = Place::new();
    let mut session = place.session();
    let on = session.0.prepare("PRAGMA foreign_keys = ON").expect("prepared");
    assert_eq!(session.text("PRAGMA foreign_keys"), "0");
    for _ in 0..2 {
        drop(session.0.execute(on.id, None, false).expect("it runs"));
        assert_eq!(session.text("PRAGMA foreign_keys"), "1");
        session.run("PRAGMA foreign_keys = OFF");
        assert_eq!(session.text("PRAGMA foreign_keys"), "0");
    }
    let refused = session.one("PRAGMA foreign_keys = ON", None, true).expect_err("it is to read");
    assert!(matches!(refused, EngineError::ReadOnly { .. }));
    assert_eq!(session.text("PRAGMA foreign_keys"), "0");
    // In a transaction it changes nothing, and is not remembered.
    session.run("BEGIN; PRAGMA foreign_keys = ON; COMMIT");
    place.engine.release().expect("released");
    place.engine.attach(Access::ReadWrite).expect("attached");
    assert_eq!(session.text("PRAGMA foreign_keys"), "0");
    session.run("PRAGMA user_version = 5; PRAGMA user_version = 6; PRAGMA user_version = 5; PRAGMA secure_delete = ON");
    assert_eq!(session.text("PRAGMA user_version"), "5");
    session.run("CREATE VIEW v AS SELECT changes() AS n");
    assert!(matches!(session.error("SELECT n FROM v"), EngineError::Refused { .. }));
}

#[test]
fn values_come_in_as_they_are_or_are_refused() {
    let place = Place::new();
    let mut session = place.session();
    let mut put = |value: ArrayRef| {
        let batch = RecordBatch::try_from_iter([("1", value)]).expect("a batch");
        session.one("SELECT typeof(?1), quote(?1)", Some(&batch), true).map(|rows| text(&rows))
    };
    let dictionary: arrow::array::DictionaryArray<Int32Type> = ["x"].into_iter().collect();
    for (value, expected) in [
        (Arc::new(BooleanArray::from(vec![true])) as ArrayRef, "integer|1"),
        (Arc::new(UInt64Array::from(vec![i64::MAX as u64])), "integer|9223372036854775807"),
        (Arc::new(Float32Array::from(vec![0.5])), "real|0.5"),
        (Arc::new(Float64Array::from(vec![f64::INFINITY])), "real|9.0e+999"),
        (Arc::new(BinaryArray::from(vec![&b"\0\xff"[..]])), "blob|X'00FF'"),
        (Arc::new(BinaryArray::from(vec![&b""[..]])), "blob|X''"),
        (Arc::new(dictionary), "text|'x'"),
        (Arc::new(Date32Array::from(vec![19_724])), "text|'2024-01-02'"),
        (Arc::new(TimestampSecondArray::from(vec![1_704_164_645])), "text|'2024-01-02 03:04:05'"),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![1_704_164_645_000_001]).with_timezone("+02:00")),
            "text|'2024-01-02 03:04:05.000001+00:00'",
        ),
        (Arc::new(Float64Array::from(vec![None])), "null|NULL"),
    ] {
        assert_eq!(put(value).expect(expected), expected);
    }
    let decimals = arrow::array::PrimitiveArray::<Decimal128Type>::from(vec![1]);
    for value in [
        Arc::new(UInt64Array::from(vec![u64::MAX])) as ArrayRef,
        Arc::new(Float64Array::from(vec![f64::NAN])),
        Arc::new(decimals),
    ] {
        let refused = put(value).expect_err("it has no place");
        assert!(matches!(refused, EngineError::Unsupported { .. }), "{refused:?}");
    }
}
