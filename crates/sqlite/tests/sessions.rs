//! Sessions: statements, transactions, parameters, and what is left of a session when the file is released.
#![expect(clippy::expect_used, clippy::panic, reason = "a test's own way to fail")]

mod common;

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray},
    datatypes::Float32Type,
};
use common::{Place, text};
use dbmux_engine::{Access, Engine, EngineError, ResultShape, StatementKind};

fn sqlstate(error: &EngineError) -> &'static str {
    error.sqlstate()
}

#[test]
fn statements_run_and_the_file_is_released_and_attached_again() {
    let place = Place::new();
    let mut session = place.session();
    session.run("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)");
    assert_eq!(session.text("INSERT INTO t VALUES (1, 'one'), (2, 'two')"), "2");
    assert_eq!(session.text("SELECT * FROM t ORDER BY a"), "1|one\n2|two");
    assert!(place.beside("-wal").exists());
    place.engine.release().expect("released");
    assert!(!place.engine.has_file_open());
    assert!(!place.beside("-wal").exists() && !place.beside("-shm").exists());
    place.engine.attach(Access::ReadWrite).expect("attached");
    assert_eq!(session.text("SELECT count(*) FROM t"), "2");
    assert_eq!(session.text("INSERT INTO t (b) VALUES ('three') RETURNING a"), "3");
    assert_eq!(session.text("DELETE FROM t WHERE a > 1"), "2");
    place.engine.verify(true).expect("it is there");
}

#[test]
fn what_a_statement_is_is_sqlites_own_word() {
    use ResultShape::{Nothing, Rows, RowsChanged};
    use StatementKind::{Exclusive, Read, Write};
    let place = Place::new();
    let mut session = place.session();
    session.run("CREATE TABLE t (a INTEGER); CREATE VIRTUAL TABLE f USING fts5(b); CREATE TEMP TABLE mine (a)");
    for (sql, kind, shape, modifies, control) in [
        ("SELECT 1", Read, Rows, false, false),
        ("WITH x AS (SELECT 1) SELECT * FROM x", Read, Rows, false, false),
        ("VALUES (1)", Read, Rows, false, false),
        ("EXPLAIN INSERT INTO t VALUES (1)", Read, Rows, false, false),
        ("EXPLAIN QUERY PLAN DELETE FROM t", Read, Rows, false, false),
        ("PRAGMA user_version", Read, Rows, false, false),
        ("PRAGMA table_info(t)", Read, Rows, false, false),
        ("SELECT * FROM pragma_table_info('t')", Read, Rows, false, false),
        ("PRAGMA user_version = 3", Write, Nothing, true, false),
        ("PRAGMA foreign_keys = ON", Write, Nothing, false, false),
        ("INSERT INTO t VALUES (1)", Write, RowsChanged, true, false),
        ("REPLACE INTO t VALUES (1)", Write, RowsChanged, true, false),
        ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", Write, RowsChanged, true, false),
        ("INSERT INTO t VALUES (1) RETURNING a", Write, Rows, true, false),
        ("UPDATE t SET a = 2", Write, RowsChanged, true, false),
        ("INSERT INTO f(f) VALUES ('optimize')", Write, RowsChanged, true, false),
        ("CREATE TABLE u AS SELECT 1", Write, Nothing, true, false),
        ("CREATE TEMP TABLE u (a)", Write, Nothing, false, false),
        ("INSERT INTO mine VALUES (1)", Write, RowsChanged, false, false),
        ("DROP TABLE mine", Write, Nothing, false, false),
        ("ALTER TABLE t ADD COLUMN b", Write, Nothing, true, false),
        ("PRAGMA main.application_id = 3", Write, Nothing, true, false),
        ("ATTACH ':memory:' AS m", Write, Nothing, false, false),
        ("ANALYZE", Write, Nothing, true, false),
        ("VACUUM", Exclusive, Nothing, true, false),
        ("PRAGMA wal_checkpoint(TRUNCATE)", Exclusive, Rows, false, false),
        ("BEGIN", Read, Nothing, false, true),
        ("BEGIN IMMEDIATE", Write, Nothing, false, true),
        ("/* now */ COMMIT", Read, Nothing, false, true),
        ("END TRANSACTION", Read, Nothing, false, true),
        ("ROLLBACK", Read, Nothing, false, true),
        ("SAVEPOINT a", Read, Nothing, false, true),
        ("RELEASE a", Read, Nothing, false, true),
    ] {
        let prepared = session.0.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let found = (prepared.kind, prepared.shape, prepared.modifies, prepared.transaction_control);
        assert_eq!(found, (kind, shape, modifies, control), "{sql}");
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let place = Place::new();
    let mut session = place.session();
    session.run(
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL UNIQUE, c CHECK (c > 0)) STRICT"
            .replace("c CHECK", "c INT CHECK")
            .as_str(),
    );
    session.run("INSERT INTO t VALUES (1, 'one', 1); CREATE TABLE u (a REFERENCES t(a)); PRAGMA foreign_keys = ON");
    for (sql, expected) in [
        ("SELEKT 1", "42601"),
        ("SELECT 'unfinished", "42601"),
        ("SELECT * FROM missing", "42P01"),
        ("SELECT missing FROM t", "42703"),
        ("SELECT missing()", "42883"),
        ("INSERT INTO t VALUES (1, 'two', 1)", "23505"),
        ("INSERT INTO t VALUES (2, 'one', 1)", "23505"),
        ("INSERT INTO t VALUES (2, NULL, 1)", "23502"),
        ("INSERT INTO t VALUES (2, 'two', 0)", "23514"),
        ("INSERT INTO t VALUES (2, 'two', 'text')", "42804"),
        ("INSERT INTO u VALUES (7)", "23503"),
        ("CREATE TABLE t (a)", "42P07"),
        ("COMMIT", "25P01"),
        ("SELECT ?", "07001"),
        ("SELECT json('{')", "22032"),
        (
            "INSERT INTO t VALUES (2, 'two', 1 << 62) ON CONFLICT DO NOTHING; SELECT sum(9223372036854775807) FROM t",
            "22003",
        ),
    ] {
        let error = session.error(sql);
        assert_eq!(sqlstate(&error), expected, "{sql}: {error:?}");
    }
}

#[test]
fn transactions_are_what_the_connection_says() {
    let place = Place::new();
    let mut session = place.session();
    session.run("CREATE TABLE t (a INTEGER PRIMARY KEY)");
    session.run("BEGIN; INSERT INTO t VALUES (1)");
    assert!(session.0.state().in_transaction);
    session.run("SAVEPOINT s; INSERT INTO t VALUES (2); ROLLBACK TO s; RELEASE s");
    // A failed statement does not break a transaction: that is how SQLite is.
    session.error("INSERT INTO t VALUES (1)");
    assert!(!session.0.state().transaction_failed);
    session.run("COMMIT");
    assert!(!session.0.state().in_transaction);
    assert_eq!(session.text("SELECT a FROM t"), "1");
    session.run("BEGIN; INSERT INTO t VALUES (3)");
    // Unless it says so.
    session.error("INSERT OR ROLLBACK INTO t VALUES (1)");
    let state = session.0.state();
    assert!(state.in_transaction && state.transaction_failed);
    assert_eq!(sqlstate(&session.error("INSERT INTO t VALUES (4)")), "25P02");
    assert_eq!(sqlstate(&session.error("COMMIT")), "25P02");
    assert!(!session.0.state().in_transaction);
    assert_eq!(session.text("SELECT a FROM t"), "1");
    session.run("BEGIN; INSERT INTO t VALUES (5)");
    session.0.roll_back().expect("rolled back");
    assert!(!session.0.state().in_transaction);
    assert_eq!(session.text("SELECT a FROM t"), "1");
}

#[test]
fn a_transaction_may_begin_while_the_file_is_released() {
    let place = Place::new();
    let mut session = place.session();
    session.run("CREATE TABLE t (a)");
    place.engine.release().expect("released");
    session.run("BEGIN");
    assert!(session.0.state().in_transaction && !session.0.state().transaction_failed);
    place.engine.attach(Access::ReadWrite).expect("attached");
    session.run("INSERT INTO t VALUES (1)");
    let other = place.session().text("SELECT count(*) FROM t");
    assert_eq!(other, "0");
    session.run("COMMIT");
    assert_eq!(session.text("SELECT count(*) FROM t"), "1");
    place.engine.release().expect("released");
    session.run("BEGIN; ROLLBACK");
    assert!(!session.0.state().in_transaction);
}

#[test]
fn parameters_go_by_number_and_by_name() {
    let place = Place::new();
    let mut session = place.session();
    let batch = |names: [&str; 2]| {
        let columns: [ArrayRef; 2] = [Arc::new(Int64Array::from(vec![7])), Arc::new(StringArray::from(vec!["x"]))];
        RecordBatch::try_from_iter(names.into_iter().zip(columns)).expect("a batch")
    };
    for (sql, names) in [
        ("SELECT ?, ?", ["1", "2"]),
        ("SELECT ?1, ?2", ["$1", "$2"]),
        ("SELECT ?2, ?1", ["2", "1"]),
        ("SELECT :a, :b", ["a", "b"]),
        ("SELECT @a, $b", ["@a", ":b"]),
        ("SELECT :a, :b", ["1", "2"]),
    ] {
        let rows = session.one(sql, Some(&batch(names)), true).unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(text(&rows), "7|x", "{sql}");
    }
    for (sql, names) in [("SELECT ?", ["1", "2"]), ("SELECT :a, :c", ["a", "b"]), ("SELECT :a, :b, :c", ["a", "b"])] {
        let error = session.one(sql, Some(&batch(names)), true).expect_err("they do not fit");
        assert_eq!(sqlstate(&error), "07001", "{sql}");
    }
}

#[test]
fn full_text_json_and_vectors_are_there() {
    let place = Place::new();
    let mut session = place.session();
    session.run("CREATE VIRTUAL TABLE f USING fts5(body); INSERT INTO f VALUES ('a fox runs'), ('a dog sleeps')");
    assert_eq!(session.text("SELECT rowid FROM f('fox')"), "1");
    assert_eq!(session.text("SELECT json_extract('{\"a\": [1, 2]}', '$.a[1]')"), "2");
    session.run("CREATE VIRTUAL TABLE v USING vec0(e float[3])");
    let vector = ListArray::from_iter_primitive::<Float32Type, _, _>([Some([Some(1.0), Some(0.0), Some(0.0)])]);
    let batch = RecordBatch::try_from_iter([("1", Arc::new(vector) as ArrayRef)]).expect("a batch");
    session.one("INSERT INTO v (rowid, e) VALUES (1, ?)", Some(&batch), false).expect("inserted");
    session.run("INSERT INTO v (rowid, e) VALUES (2, '[0, 1, 0]')");
    let near = session.text("SELECT rowid, distance FROM v WHERE e MATCH '[0, 0.9, 0]' ORDER BY distance LIMIT 1");
    assert!(near.starts_with("2|0.1"), "{near}");
}

#[test]
fn what_a_session_has_in_memory_outlives_a_release() {
    let place = Place::new();
    let mut session = place.session();
    assert!(!session.0.state().has_state);
    session.run("CREATE TABLE t (a); CREATE TEMP TABLE mine (a); INSERT INTO mine VALUES (1), (2)");
    session.run("CREATE TEMP VIEW seen AS SELECT a + 1 AS a FROM mine; ATTACH ':memory:' AS \"a b\"");
    session.run(
        "CREATE TABLE \"a b\".other (x); INSERT INTO \"a b\".other VALUES ('here'); PRAGMA recursive_triggers = ON",
    );
    assert!(session.0.state().has_state);
    for _ in 0..2 {
        place.engine.release().expect("released");
        assert!(!place.engine.has_file_open());
        assert!(session.0.state().has_state);
        place.engine.attach(Access::ReadWrite).expect("attached");
        assert_eq!(session.text("SELECT a FROM mine UNION ALL SELECT a FROM seen"), "1\n2\n2\n3");
        assert_eq!(session.text("SELECT x FROM \"a b\".other; "), "here");
        assert_eq!(session.text("PRAGMA recursive_triggers"), "1");
        session.run("INSERT INTO mine SELECT 1 WHERE false");
    }
    let mut fresh = place.session();
    assert_eq!(fresh.error("SELECT * FROM mine").sqlstate(), "42P01");
    session.run("DROP VIEW seen; DROP TABLE mine; DETACH \"a b\"; PRAGMA recursive_triggers = OFF");
}
