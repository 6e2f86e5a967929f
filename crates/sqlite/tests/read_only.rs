//! Reading only: nothing gets through, by whatever way it is tried; and nobody harms others.
#![expect(clippy::expect_used, clippy::panic, reason = "a test's own way to fail")]

mod common;

use common::Place;
use dbmux_engine::{Engine, EngineError};

/// Ways to write.
const WRITES: [&str; 32] = [
    "INSERT INTO t VALUES (9)",
    "INSERT INTO t VALUES (9) RETURNING a",
    "WITH x AS (SELECT 9) INSERT INTO t SELECT * FROM x",
    "WITH x AS (SELECT 9) INSERT INTO t SELECT * FROM x RETURNING *",
    "REPLACE INTO t VALUES (9)",
    "UPDATE t SET a = 9 WHERE false",
    "DELETE FROM t WHERE false",
    "INSERT INTO v VALUES (9)",
    "CREATE TABLE w (a)",
    "CREATE TABLE IF NOT EXISTS w AS SELECT * FROM t",
    "CREATE TEMP TABLE w (a)",
    "CREATE TEMP VIEW w AS SELECT 1",
    "CREATE INDEX i ON t (a)",
    "DROP TABLE t",
    "ALTER TABLE t RENAME TO w",
    "ALTER TABLE t ADD COLUMN b",
    "PRAGMA user_version = 9",
    "PRAGMA application_id(9)",
    "PRAGMA main.user_version = 9",
    "PRAGMA foreign_keys = ON",
    "PRAGMA incremental_vacuum",
    "PRAGMA optimize",
    "PRAGMA wal_checkpoint",
    "ATTACH ':memory:' AS m",
    "INSERT INTO f(f) VALUES ('rebuild')",
    "INSERT INTO f(f, rank) VALUES ('merge', 500)",
    "DELETE FROM f",
    "INSERT INTO e (rowid, x) VALUES (9, '[9]')",
    "ANALYZE",
    "REINDEX",
    "VACUUM",
    "BEGIN IMMEDIATE",
];

/// What harms others, or the file.
const HARMS: [&str; 19] = [
    "ATTACH '/tmp/other.sqlite' AS o",
    "ATTACH 'file:/tmp/other.sqlite?mode=rwc' AS o",
    "ATTACH '/tmp/' || 'other.sqlite' AS o",
    "ATTACH (SELECT '/tmp/other.sqlite') AS o",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA main.journal_mode(MEMORY)",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA synchronous = OFF",
    "PRAGMA synchronous = 1",
    "PRAGMA writable_schema = ON",
    "PRAGMA schema_version = 7",
    "PRAGMA query_only = OFF",
    "PRAGMA temp_store_directory = '/tmp'",
    "PRAGMA soft_heap_limit = 1",
    "PRAGMA wal_autocheckpoint = 0",
    "SELECT load_extension('/tmp/x.so')",
    "SELECT fts3_tokenizer('simple')",
    "SELECT last_insert_rowid()",
    "VACUUM INTO 'relative.sqlite'",
];

fn place() -> Place {
    let place = Place::new();
    let mut session = place.session();
    session.run("CREATE TABLE t (a); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT a FROM t");
    session.run("CREATE TRIGGER r INSTEAD OF INSERT ON v BEGIN INSERT INTO t VALUES (new.a); END");
    session.run("CREATE VIRTUAL TABLE f USING fts5(b); INSERT INTO f VALUES ('x')");
    session.run("CREATE VIRTUAL TABLE e USING vec0(x float[1])");
    place
}

/// Everything in the file, as far as it tells of a change.
fn content(place: &Place) -> String {
    place.session().text(
        "SELECT (SELECT group_concat(a) FROM t), (SELECT count(*) FROM sqlite_schema), (SELECT count(*) FROM f), \
         (SELECT count(*) FROM e), user_version, application_id FROM pragma_user_version, pragma_application_id",
    )
}

fn refuses(error: &EngineError) -> bool {
    matches!(error, EngineError::ReadOnly { .. })
}

#[test]
fn nothing_is_written_where_only_reading_is_allowed() {
    let place = place();
    let before = content(&place);
    let (mut writer, mut reader) = (place.session(), place.reader());
    for sql in WRITES {
        let error = writer.one(sql, None, true).expect_err(sql);
        assert!(refuses(&error), "{sql}: {error:?}");
        let error = reader.one(sql, None, false).expect_err(sql);
        assert!(refuses(&error), "{sql}: {error:?}");
    }
    assert_eq!(content(&place), before);
    assert!(!writer.0.state().in_transaction && !writer.0.state().has_state);
    // Inside of a transaction that has written already, too; and what it wrote stays.
    writer.run("BEGIN; INSERT INTO t VALUES (2)");
    for sql in ["INSERT INTO t VALUES (9)", "DELETE FROM t RETURNING a", "PRAGMA user_version = 9"] {
        assert!(refuses(&writer.one(sql, None, true).expect_err(sql)), "{sql}");
    }
    let rows = writer.one("SELECT count(*) FROM t", None, true).expect("it reads");
    assert_eq!(common::text(&rows), "2");
    writer.run("INSERT INTO t VALUES (3); COMMIT");
    assert_eq!(writer.text("SELECT count(*) FROM t"), "3");
    // Reading is allowed, and EXPLAIN of a write.
    for sql in ["SELECT * FROM v", "PRAGMA table_info(t)", "EXPLAIN DELETE FROM t", "BEGIN", "SELECT 1", "COMMIT"] {
        writer.one(sql, None, true).expect(sql);
        reader.one(sql, None, false).expect(sql);
    }
}

#[test]
fn sqlite_itself_refuses_where_our_own_look_would_not() {
    // A statement that was looked at when it only read, and writes when it runs: the schema has changed in between.
    let place = place();
    let (mut writer, mut other) = (place.session(), place.session());
    let prepared = writer.0.prepare("SELECT * FROM v").expect("it reads");
    other.run("DROP VIEW v; CREATE VIEW v AS SELECT a, 7 AS b FROM t");
    let mut rows = writer.0.execute(prepared.id, None, true).expect("it reads");
    let batch = rows.next().expect("rows").expect("a row");
    assert_eq!(batch.num_columns(), 2);
}

#[test]
fn what_harms_others_is_refused_by_name() {
    let place = place();
    let before = content(&place);
    let mut session = place.session();
    for sql in HARMS {
        let error = session.error(sql);
        let EngineError::Refused { what, why } = &error else { panic!("{sql}: {error:?}") };
        assert!(!what.is_empty() && !why.is_empty(), "{sql}");
    }
    let error = session.error("DETACH main");
    assert!(error.to_string().contains("cannot detach"), "{error}");
    let error = session.error("UPDATE sqlite_schema SET sql = 'x'");
    assert!(error.to_string().contains("may not be modified"), "{error}");
    for shadow in ["f_data", "e_chunks"] {
        let error = session.error(&format!("DELETE FROM {shadow}"));
        assert!(error.to_string().contains("may not be modified"), "{error}");
    }
    assert_eq!(content(&place), before);
    assert_eq!(session.text("PRAGMA journal_mode"), "wal");
    assert_eq!(session.text("PRAGMA synchronous"), "2");
    assert_eq!(session.text("PRAGMA foreign_keys"), "0");
}

#[test]
fn a_copy_goes_into_a_new_file_only() {
    let place = place();
    let mut session = place.session();
    let into = |name: &str| format!("VACUUM INTO '{}'", place.folder.path().join(name).display());
    session.run(&into("copy.sqlite"));
    assert!(place.folder.path().join("copy.sqlite").is_file());
    std::fs::write(place.folder.path().join("kept.sqlite.dbmux"), "").expect("a sidecar");
    for name in ["copy.sqlite", "a.sqlite", "a.sqlite-wal", "kept.sqlite", "x.dbmux"] {
        let error = session.error(&into(name));
        assert!(matches!(error, EngineError::Refused { .. }), "{name}: {error:?}");
    }
    place.engine.verify(true).expect("the file is where it was");
    // And the session attaches nothing by the same way afterwards.
    assert!(matches!(session.error("ATTACH '/tmp/x.sqlite' AS x"), EngineError::Refused { .. }));
}

#[test]
fn what_the_last_write_was_is_asked_in_a_transaction() {
    let place = place();
    let mut session = place.session();
    session.run("BEGIN; INSERT INTO t VALUES (5)");
    assert_eq!(session.text("SELECT last_insert_rowid(), changes()"), "2|1");
    session.run("COMMIT");
    assert!(matches!(session.error("SELECT changes()"), EngineError::Refused { .. }));
}
