//! Sessions: kinds of statements, transactions, settings, interruption, paths.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by panicking"
)]

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::support::Database;
use dbmux_engine::{
    Engine, EngineError, ResultShape, SessionOptions,
    StatementKind::{self, Exclusive, Read, Write},
};

#[test]
fn kinds_are_true() {
    let database = Database::new("a.db");
    let mut session = database.session();
    for sql in [
        "CREATE TABLE t (x INTEGER)",
        "CREATE SEQUENCE s",
        "CREATE MACRO next() AS nextval('s')",
        "CREATE MACRO numbers() AS TABLE SELECT nextval('s') AS n",
        "CREATE VIEW counting AS SELECT nextval('s') AS n",
        "CREATE VIEW plain AS SELECT x FROM t",
        "PREPARE p AS INSERT INTO t VALUES (1)",
    ] {
        session.run(sql);
    }
    let cases: &[(&str, StatementKind)] = &[
        ("SELECT 1", Read),
        ("FROM t", Read),
        ("TABLE t", Read),
        ("VALUES (1)", Read),
        ("SELECT * FROM plain JOIN t USING (x)", Read),
        ("WITH a AS (SELECT 1) SELECT * FROM a", Read),
        ("SELECT random(), now(), uuid()", Read),
        ("SELECT currval('s')", Read),
        ("SELECT 'nextval', \"insert\" FROM (SELECT 1 AS \"insert\")", Read),
        ("SHOW TABLES", Read),
        ("DESCRIBE t", Read),
        ("SUMMARIZE t", Read),
        ("PRAGMA table_info('t')", Read),
        ("PRAGMA database_size", Read),
        ("CALL pragma_version()", Read),
        ("EXPLAIN SELECT 1", Read),
        ("EXPLAIN ANALYZE SELECT 1", Read),
        ("SELECT * FROM duckdb_settings()", Read),
        ("SELECT * FROM query('SELECT 1')", Read),
        ("SELECT nextval('s')", Write),
        ("SELECT next()", Write),
        ("SELECT * FROM numbers()", Write),
        ("SELECT * FROM counting", Write),
        ("SELECT (SELECT nextval('s'))", Write),
        ("SELECT x FROM t WHERE x IN (SELECT nextval('s'))", Write),
        ("SELECT * FROM query('SELECT nextval(''s'')')", Write),
        ("WITH w AS (INSERT INTO t VALUES (1) RETURNING x) SELECT * FROM w", Write),
        ("SELECT setseed(0.5)", Write),
        ("SELECT write_log('x')", Write),
        ("EXPLAIN ANALYZE INSERT INTO t VALUES (1)", Write),
        ("INSERT INTO t VALUES (1)", Write),
        ("INSERT INTO t VALUES (1) RETURNING x", Write),
        ("UPDATE t SET x = 1", Write),
        ("DELETE FROM t", Write),
        ("MERGE INTO t USING (SELECT 1 AS y) ON x = y WHEN MATCHED THEN DELETE", Write),
        ("CREATE TEMP TABLE mine (x INTEGER)", Write),
        ("CREATE TABLE u AS SELECT 1", Write),
        ("ALTER TABLE t ADD COLUMN y INTEGER", Write),
        ("DROP TABLE t", Write),
        ("COPY t TO 't.csv'", Write),
        ("EXPLAIN ANALYZE COPY t TO 't.csv'", Write),
        ("EXPORT DATABASE 'out'", Write),
        ("SET threads = 1", Write),
        ("SET VARIABLE v = 1", Write),
        ("RESET threads", Write),
        ("USE main", Write),
        ("PREPARE q AS SELECT 1", Write),
        ("EXECUTE p", Write),
        ("BEGIN", Write),
        ("COMMIT", Write),
        ("ROLLBACK", Write),
        ("PRAGMA enable_checkpoint_on_shutdown", Write),
        ("LOAD json", Write),
        ("CHECKPOINT", Exclusive),
        ("FORCE CHECKPOINT", Exclusive),
        ("CHECKPOINT a", Exclusive),
        ("CALL checkpoint()", Exclusive),
        ("SELECT * FROM checkpoint()", Exclusive),
        ("PRAGMA force_checkpoint", Exclusive),
        ("VACUUM", Exclusive),
        ("VACUUM ANALYZE", Exclusive),
        ("ANALYZE", Exclusive),
    ];
    for (sql, expected) in cases {
        let prepared = session.0.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        assert_eq!(prepared.kind, *expected, "{sql}");
        let control = matches!(*sql, "BEGIN" | "COMMIT" | "ROLLBACK");
        assert_eq!(prepared.transaction_control, control, "{sql}");
    }
    // Preparing runs nothing.
    assert_eq!(session.one("SELECT nextval('s')"), "1");
    assert_eq!(session.one("SELECT count(*) FROM t"), "0");
    for sql in ["START TRANSACTION", "BEGIN TRANSACTION READ ONLY", "END", "ABORT"] {
        assert!(session.0.prepare(sql).unwrap().transaction_control, "{sql}");
    }
}

#[test]
fn read_only_refuses_whatever_writes() {
    let database = Database::new("a.db");
    let mut writer = database.session();
    for sql in
        ["CREATE TABLE t AS SELECT 1 AS x", "CREATE SEQUENCE s", "CREATE VIEW counting AS SELECT nextval('s') AS n"]
    {
        writer.run(sql);
    }
    let options = SessionOptions {
        read_only: true,
        working_directory: Some(database.path.parent().unwrap().to_owned()),
        local: true,
    };
    let mut reader = database.session_with(options);
    for sql in [
        "SELECT x FROM t",
        "FROM t",
        "EXPLAIN SELECT 1",
        "PRAGMA table_info('t')",
        "SHOW TABLES",
        "CALL pragma_version()",
        "PIVOT t ON x USING count(*)",
        "SELECT * FROM (PIVOT t ON x USING count(*))",
    ] {
        reader.run(sql);
        writer.try_run_with(sql, None, true).unwrap();
    }
    for sql in [
        "INSERT INTO t VALUES (2)",
        "UPDATE t SET x = 2",
        "CREATE TABLE u (x INTEGER)",
        "SELECT nextval('s')",
        "SELECT * FROM counting",
        "PIVOT (SELECT nextval('s') AS x) ON x USING count(*)",
        "WITH w AS (INSERT INTO t VALUES (1) RETURNING x) SELECT * FROM w",
        "COPY t TO 'out.csv'",
        "EXPLAIN ANALYZE COPY t TO 'out.csv'",
        "EXPORT DATABASE 'out'",
        "ATTACH ':memory:' AS m",
        "SET threads = 1",
        "CHECKPOINT",
        "CREATE TEMP TABLE mine (x INTEGER)",
        "EXPLAIN ANALYZE INSERT INTO t VALUES (3)",
    ] {
        for answer in [reader.try_run(sql), writer.try_run_with(sql, None, true)] {
            assert!(matches!(answer, Err(EngineError::ReadOnly { .. })), "{sql}: {answer:?}");
        }
    }
    assert!(!database.path.with_file_name("out.csv").exists());
    // A reader's transaction, and one that another session's read-only statement does not end.
    reader.run("BEGIN");
    assert_eq!(reader.one("SELECT x FROM t"), "1");
    writer.run("INSERT INTO t VALUES (5)");
    assert_eq!(reader.one("SELECT count(*) FROM t"), "1", "as of its beginning");
    reader.run("COMMIT");
    assert_eq!(reader.one("SELECT count(*) FROM t"), "2");
    writer.run("BEGIN");
    writer.run("INSERT INTO t VALUES (6)");
    assert_eq!(writer.try_run_with("SELECT count(*) FROM t", None, true).unwrap(), [["3"]]);
    assert!(writer.0.state().in_transaction);
    writer.run("ROLLBACK");
    // A result that is dropped half-read leaves no transaction behind.
    let prepared = reader.0.prepare("SELECT * FROM range(1000000)").unwrap();
    drop(reader.0.execute(prepared.id, None, false).unwrap().next().unwrap());
    assert!(!reader.0.state().in_transaction);
    reader.run("SELECT 1");
}

#[test]
fn transactions_are_told_from_none_and_from_broken_ones() {
    let database = Database::new("a.db");
    let mut session = database.session();
    session.run("CREATE TABLE t (x INTEGER PRIMARY KEY)");
    assert!(!session.0.state().in_transaction);
    session.run("BEGIN");
    assert!(session.0.state().in_transaction && !session.0.state().transaction_failed);
    session.run("INSERT INTO t VALUES (1)");
    assert!(session.try_run("INSERT INTO t VALUES (1)").is_err());
    let state = session.0.state();
    assert!(state.in_transaction && state.transaction_failed);
    let answer = session.try_run("SELECT 1");
    assert!(matches!(&answer, Err(EngineError::Sql { sqlstate: "25P02", .. })), "{answer:?}");
    session.0.roll_back().unwrap();
    assert!(!session.0.state().in_transaction);
    session.0.roll_back().unwrap();
    assert_eq!(session.one("SELECT count(*) FROM t"), "0");
    // A statement that cannot be bound breaks nothing.
    session.run("BEGIN");
    assert!(session.0.prepare("SELECT no_such_column FROM t").is_err());
    assert!(!session.0.state().transaction_failed);
    session.run("INSERT INTO t VALUES (1)");
    session.run("COMMIT");
    assert_eq!(session.one("SELECT count(*) FROM t"), "1");
    // The one who comes second is told to redo.
    let mut other = database.session();
    for one in [&mut session, &mut other] {
        one.run("BEGIN");
        one.run("SELECT * FROM t");
    }
    session.run("UPDATE t SET x = 2");
    let answer = other.try_run("UPDATE t SET x = 3");
    assert!(matches!(&answer, Err(EngineError::Conflict { .. })), "{answer:?}");
    assert_eq!(answer.unwrap_err().sqlstate(), "40001");
    session.run("COMMIT");
    other.0.roll_back().unwrap();
    // A session that ends takes its transaction with it.
    session.run("BEGIN");
    session.run("DELETE FROM t");
    drop(session);
    assert_eq!(other.one("SELECT count(*) FROM t"), "1");
}

#[test]
fn errors_are_told_apart() {
    let database = Database::new("a.db");
    let mut session = database.session();
    session.run("CREATE TABLE t (x INTEGER PRIMARY KEY, y INTEGER NOT NULL CHECK (y > 0), z INTEGER REFERENCES t (x))");
    session.run("INSERT INTO t VALUES (1, 1, NULL)");
    for (sql, state) in [
        ("SELEC 1", "42601"),
        ("", "42601"),
        ("SELECT 1; SELECT 2", "42601"),
        ("SELECT nope FROM t", "42703"),
        ("SELECT * FROM nope", "42P01"),
        ("SELECT nope(1)", "42883"),
        ("SELECT sqrt('a', 'b')", "42883"),
        ("SELECT * FROM nope.t", "42P01"),
        ("CREATE TABLE t (x INTEGER)", "42P07"),
        ("INSERT INTO t VALUES (1, 1, NULL)", "23505"),
        ("INSERT INTO t VALUES (2, NULL, NULL)", "23502"),
        ("INSERT INTO t VALUES (2, 0, NULL)", "23514"),
        ("INSERT INTO t VALUES (2, 2, 99)", "23503"),
        ("SELECT 'abc'::INTEGER", "22P02"),
        ("SELECT 300::TINYINT", "22P02"),
        ("SELECT 9223372036854775807 + 1::BIGINT", "22003"),
        ("COMMIT", "25P01"),
        ("SELECT * FROM read_csv('nope.csv')", "58030"),
        ("EXECUTE nope", "42000"),
        ("SELECT error('mine')", "22000"),
    ] {
        let answer = session.try_run(sql);
        let Err(EngineError::Sql { sqlstate, message }) = &answer else { panic!("{sql}: {answer:?}") };
        assert!(!message.is_empty(), "{sql}");
        assert_eq!(*sqlstate, state, "{sql}: {message}");
    }
    session.run("BEGIN");
    assert_eq!(session.try_run("BEGIN").unwrap_err().sqlstate(), "25001");
    let _ = session.0.roll_back();
    // The place in the text is told.
    let Err(EngineError::Sql { message, .. }) = session.try_run("SELECT nope FROM t") else { panic!() };
    assert!(message.contains("LINE 1") && message.contains('^'), "{message}");
    session.run("SET memory_limit = '30MB'");
    session.run("SET max_temp_directory_size = '1MB'");
    let answer = session.try_run("SELECT list(x) FROM range(10000000) t(x)");
    assert!(matches!(answer, Err(EngineError::OutOfMemory { .. })), "{answer:?}");
    session.run("RESET memory_limit");
    session.run("RESET max_temp_directory_size");
    assert_eq!(session.one("SELECT 1"), "1");
}

#[test]
fn missing_extensions_are_told_by_name_and_at_once() {
    let database = Database::new("a.db");
    let mut session = database.session();
    session.run("SET home_directory = '/nonexistent'");
    for (sql, name) in [
        ("SELECT * FROM icu_calendar_names()", "icu"),
        ("SELECT now() - INTERVAL 1 DAY", "icu"),
        ("SELECT current_date", "icu"),
        ("SELECT date_trunc('day', now())", "icu"),
        ("SELECT now() AT TIME ZONE 'Europe/Vienna'", "icu"),
        ("SET TimeZone = 'Europe/Vienna'", "icu"),
        ("SELECT * FROM read_csv('https://example.org/a.csv')", "httpfs"),
        ("SELECT ST_Point(1, 2)", "spatial"),
        ("LOAD spatial", "spatial"),
        ("SELECT * FROM st_read('x')", "spatial"),
    ] {
        let started = Instant::now();
        let answer = session.try_run(sql);
        let elapsed = started.elapsed();
        let Err(EngineError::ExtensionMissing { name: found, .. }) = &answer else { panic!("{sql}: {answer:?}") };
        assert_eq!(found, name, "{sql}");
        assert!(elapsed < Duration::from_millis(100), "{sql}: {elapsed:?}");
    }
    session.run("SELECT 1");
}

#[test]
fn settings_are_the_sessions_own_or_told() {
    let database = Database::new("a.db");
    let mut session = database.session();
    let mut other = database.session();
    session.run("SET default_null_order = 'nulls_first'");
    session.run("SET preserve_insertion_order = false");
    session.run("SET SESSION default_order = 'desc'");
    assert_eq!(other.one("SELECT current_setting('preserve_insertion_order')"), "true");
    assert_eq!(other.one("SELECT current_setting('default_order')"), "ASCENDING");
    // Told always: what a statement may be missing for.
    let told = |others: &[(String, String)]| {
        let mut all = vec![("autoinstall_known_extensions".to_owned(), "false".to_owned())];
        all.extend_from_slice(others);
        all
    };
    assert_eq!(database.engine.settings(), told(&[]));
    assert!(session.0.state().has_state);
    session.run("SET threads = 2");
    session.run("SET GLOBAL memory_limit = '1GB'");
    assert_eq!(other.one("SELECT current_setting('threads')"), "2");
    let changed = [("memory_limit".to_owned(), "1GB".to_owned()), ("threads".to_owned(), "2".to_owned())];
    assert_eq!(database.engine.settings(), told(&changed));
    other.run("RESET threads");
    assert_eq!(database.engine.settings(), told(&changed[..1]));
    assert!(!other.0.state().has_state);
    let mut remote = database.session_with(SessionOptions::default());
    for sql in [
        "SET threads = 1",
        "SET GLOBAL memory_limit = '1GB'",
        "RESET memory_limit",
        "PRAGMA memory_limit = '1GB'",
        "LOAD json",
        "INSTALL icu",
        "CREATE SECRET (TYPE http)",
    ] {
        remote.refused(sql);
    }
    remote.run("SET default_null_order = 'nulls_last'");
    remote.run("SET VARIABLE x = 1");
    for sql in [
        "SET fsync_mode = 'none'",
        "SET GLOBAL enable_external_access = false",
        "SET arrow_lossless_conversion = false",
        "SET debug_checkpoint_abort = 'none'",
    ] {
        session.refused(sql);
    }
}

#[test]
fn relative_paths_are_the_clients() {
    let database = Database::new("a.db");
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().canonicalize().unwrap();
    fs::create_dir(other.join("data")).unwrap();
    fs::write(other.join("data/one.csv"), "a\n1\n").unwrap();
    fs::write(other.join("data/two.csv"), "a\n2\n").unwrap();
    fs::write(database.path.with_file_name("one.csv"), "a\n10\n").unwrap();
    let mut here = database.session();
    let mut there =
        database.session_with(SessionOptions { working_directory: Some(other.clone()), read_only: false, local: true });
    assert_eq!(here.one("SELECT a FROM 'one.csv'"), "10");
    assert!(there.try_run("SELECT a FROM 'one.csv'").is_err());
    assert_eq!(there.one("SELECT sum(a)::INTEGER FROM 'data/*.csv'"), "3");
    assert_eq!(there.one("SELECT sum(a)::INTEGER FROM read_csv(['data/one.csv', './data/../data/two.csv'])"), "3");
    there.run("SET VARIABLE p = 'data/one.csv'");
    assert_eq!(there.one("SELECT a FROM read_csv(getvariable('p'))"), "1");
    there.run("CREATE TABLE t AS SELECT 7 AS x");
    there.run("COPY t TO 'data/t.parquet'");
    assert!(other.join("data/t.parquet").exists());
    assert_eq!(there.one("SELECT x FROM 'data/t.parquet'"), "7");
    // The same name of another client is another file, cached or not.
    there.run("COPY t TO 'same.parquet'");
    here.run("COPY (SELECT 8 AS x) TO 'same.parquet'");
    for _ in 0..3 {
        assert_eq!(there.one("SELECT x FROM 'same.parquet'"), "7");
        assert_eq!(here.one("SELECT x FROM 'same.parquet'"), "8");
    }
    there.run("EXPORT DATABASE 'out'");
    there.run("DROP TABLE t");
    there.run("IMPORT DATABASE 'out'");
    assert_eq!(there.one("SELECT x FROM t"), "7");
    there.run("COPY (SELECT 1 AS p, 2 AS v) TO 'parts' (PARTITION_BY p)");
    assert_eq!(there.one("SELECT v FROM 'parts/*/*.csv'"), "2");
    assert_eq!(there.one("SELECT count(*) FROM glob('data/*')"), "3");
    assert!(!std::path::Path::new("out").exists() && !std::path::Path::new("parts").exists());
}

#[test]
fn statements_are_split_by_the_engines_grammar() {
    let database = Database::new("a.db");
    let mut session = database.session();
    let texts = session.0.split("SELECT ';'; -- one; two\n/* three; */ INSERT INTO t VALUES (1);;\nSELECT 2").unwrap();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(session.0.split("SELECT 1; SELEC 2").is_err());
    assert_eq!(session.0.split("  ").unwrap().len(), 0);
    assert_eq!(session.0.split("-- nothing").unwrap().len(), 0);
    assert!(session.0.split("SELECT 'a\0b'").is_err());
}

#[test]
fn a_running_statement_is_interrupted() {
    let database = Database::new("a.db");
    let mut session = database.session();
    let interrupter = session.0.interrupter();
    let started = Instant::now();
    let answer = std::thread::scope(|scope| {
        let watched = scope.spawn(|| {
            // Until it runs there is nothing to interrupt.
            let started = Instant::now();
            while !interrupted(&interrupter) && started.elapsed() < Duration::from_secs(20) {
                std::thread::yield_now();
            }
        });
        let answer =
            session.try_run("SELECT count(*) FROM range(100000) a, range(100000) b WHERE a.range * b.range = -1");
        watched.join().unwrap();
        answer
    });
    assert!(matches!(answer, Err(EngineError::Interrupted)), "{answer:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(session.one("SELECT 1"), "1");
    // In the middle of a result, and with a transaction that is lost by it.
    session.run("BEGIN");
    let prepared = session.0.prepare("SELECT * FROM range(100000000)").unwrap();
    {
        let mut rows = session.0.execute(prepared.id, None, false).unwrap();
        rows.next().unwrap().unwrap();
        interrupter.interrupt();
        let mut last = rows.next();
        while let Ok(Some(_)) = last {
            last = rows.next();
        }
        assert!(matches!(last, Err(EngineError::Interrupted)), "{last:?}");
        assert!(matches!(rows.next(), Ok(None)), "it is over");
    }
    let _ = session.0.roll_back();
    assert_eq!(session.one("SELECT 1"), "1");
}

/// Interrupts as soon as the statement has begun; says whether it did.
fn interrupted(interrupter: &std::sync::Arc<dyn dbmux_engine::Interrupter>) -> bool {
    let running = interrupter.progress().percent >= 0.0;
    if running {
        interrupter.interrupt();
    }
    running
}

#[test]
fn statements_that_expand_into_several_answer_too() {
    let database = Database::new("a.db");
    let mut session = database.session();
    session.run("CREATE TABLE cities (country VARCHAR, year INTEGER, people INTEGER)");
    session.run("INSERT INTO cities VALUES ('AT', 2000, 1), ('AT', 2010, 2), ('CH', 2000, 3)");
    let rows = session.run("PIVOT cities ON year USING sum(people) ORDER BY country");
    assert_eq!(rows, [["AT", "1", "2"], ["CH", "3", "NULL"]]);
    let prepared = session.0.prepare("PIVOT cities ON year USING sum(people)").unwrap();
    let rows = session.0.execute(prepared.id, None, false).unwrap();
    assert_eq!(rows.schema().fields().len(), 3);
    drop(rows);
    session.run("ALTER TABLE cities ADD COLUMN stamp DOUBLE DEFAULT random()");
    assert_eq!(session.one("SELECT count(DISTINCT stamp) > 1 FROM cities"), "true");
    let shapes = [
        ("INSERT INTO cities (year) VALUES (1)", ResultShape::RowsChanged),
        ("INSERT INTO cities (year) VALUES (1) RETURNING year", ResultShape::Rows),
        ("CREATE TABLE u (x INTEGER)", ResultShape::Nothing),
        ("SELECT 1", ResultShape::Rows),
        ("BEGIN", ResultShape::Nothing),
    ];
    for (sql, shape) in shapes {
        assert_eq!(session.0.prepare(sql).unwrap().shape, shape, "{sql}");
    }
    assert_eq!(session.run("INSERT INTO cities (year) VALUES (5), (6) RETURNING year"), [["5"], ["6"]]);
    assert_eq!(session.run("CREATE TABLE u AS SELECT * FROM range(7)"), [["7"]]);
}
