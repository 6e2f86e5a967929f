//! Files: their names, their kinds, their holders; what foreign processes may do, and when.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by panicking"
)]

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use crate::support::{Database, Foreign, Session};
use dbmux_duckdb::{DuckDbEngine, DuckDbOptions};
use dbmux_engine::{Access, Engine, EngineError, SessionOptions};

fn readable_by_1_5() -> DuckDbOptions {
    DuckDbOptions { storage_version: Some("v1.4.0".to_owned()), ..DuckDbOptions::default() }
}

/// An engine of a file that may not be there, and is not attached.
fn engine(folder: &tempfile::TempDir, name: &str) -> DuckDbEngine {
    DuckDbEngine::new(folder.path().canonicalize().unwrap().join(name), readable_by_1_5()).unwrap()
}

#[test]
fn unusual_names_work_and_are_told() {
    for (file, name, told) in [
        ("memory.db", "memory", false),
        ("system.duckdb", "system_db", true),
        ("temp.duckdb", "temp_db", true),
        ("main.duckdb", "main_db", true),
        ("sales.2024.db", "sales", false),
        ("we ird\"name.db", "we ird\"name", false),
        ("select.db", "select", false),
    ] {
        let database = Database::new(file);
        let mut session = database.session();
        assert_eq!((database.engine.catalog(), database.engine.notices().len()), (name, usize::from(told)), "{file}");
        session.run("CREATE TABLE orders AS SELECT 7 AS id");
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        assert_eq!(session.one(&format!("SELECT id FROM {quoted}.main.orders")), "7", "{file}");
        assert_eq!(session.one("SELECT current_database()"), name, "{file}");
        database.engine.release().unwrap();
        database.engine.attach(Access::ReadWrite).unwrap();
        assert_eq!(session.one("SELECT id FROM orders"), "7", "{file}");
        let databases = session.run("SELECT database_name FROM duckdb_databases() WHERE NOT internal");
        assert_eq!(databases, [[name]], "{file}: nothing else to write to");
    }
}

#[test]
fn files_of_other_kinds_are_told_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content, what) in [
        ("a.sqlite", b"SQLite format 3\0 and more".as_slice(), "an SQLite database"),
        ("a.parquet", b"PAR1\x15\x04", "a Parquet file"),
        ("a.csv", b"a,b\n1,2\n", "a text file"),
        ("a.bin", b"\x7fELF\x01\x02\x03", "a file of another kind"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
        let answer = engine(&folder, name).attach(Access::ReadWrite);
        assert!(
            matches!(&answer, Err(EngineError::NotADatabase { message, .. }) if message.contains(what)),
            "{name}: {answer:?}"
        );
        assert_eq!(fs::read(folder.path().join(name)).unwrap(), content, "{name} is as it was");
    }
    fs::create_dir(folder.path().join("folder.db")).unwrap();
    let answer = engine(&folder, "folder.db").attach(Access::ReadWrite);
    assert!(
        matches!(&answer, Err(EngineError::NotADatabase { message, .. }) if message.contains("directory")),
        "{answer:?}"
    );
    // The right beginning, and nothing behind it.
    fs::write(folder.path().join("broken.db"), b"12345678DUCK\x40\0\0\0\0\0\0\0").unwrap();
    let answer = engine(&folder, "broken.db").attach(Access::ReadWrite);
    assert!(matches!(&answer, Err(EngineError::Damaged { .. })), "{answer:?}");
}

#[test]
fn files_that_are_not_there_and_folders_that_may_not_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let answer = engine(&folder, "missing.db").attach(Access::ReadOnly);
    assert!(matches!(answer, Err(EngineError::NotFound { .. })), "{answer:?}");
    let answer = engine(&folder, "no/such/folder/a.db").attach(Access::ReadWrite);
    assert!(matches!(answer, Err(EngineError::NotFound { .. })), "{answer:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
    if rustix::process::geteuid().is_root() {
        return; // Root may write everywhere.
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let answer = engine(&folder, "a.db").attach(Access::ReadWrite);
    assert!(matches!(answer, Err(EngineError::PermissionDenied { .. })), "{answer:?}");
}

#[test]
fn a_foreign_holder_keeps_us_out_and_a_foreign_reader_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder, "a.db");
    let path = engine.path().to_str().unwrap().to_owned();
    let mut foreign = Foreign::start();
    foreign.ask("open", &path).unwrap();
    foreign.ask("sql", "CREATE TABLE t AS SELECT 42 AS x").unwrap();
    for access in [Access::ReadWrite, Access::ReadOnly] {
        let answer = engine.attach(access);
        let told = format!("PID {}", foreign.id());
        assert!(matches!(&answer, Err(EngineError::Locked { message, .. }) if message.contains(&told)), "{answer:?}");
    }
    foreign.ask("close", "").unwrap();
    foreign.ask("read", &path).unwrap();
    assert!(matches!(engine.attach(Access::ReadWrite), Err(EngineError::Locked { .. })));
    engine.attach(Access::ReadOnly).unwrap();
    let mut session = Session(engine.open_session(&SessionOptions::default()).unwrap());
    assert_eq!(session.one("SELECT x FROM t"), "42");
    let answer = session.try_run("INSERT INTO t VALUES (1)");
    assert!(matches!(answer, Err(EngineError::ReadOnly { .. })), "{answer:?}");
    engine.verify(true).unwrap();
    assert_eq!(foreign.ask("sql", "SELECT x FROM t").unwrap(), "[[\"42\"]]");
    // Released, we are not in a writer's way.
    foreign.ask("close", "").unwrap();
    let mut writer = Foreign::start();
    assert!(writer.ask("open", &path).unwrap_err().contains(&format!("PID {}", std::process::id())));
    engine.release().unwrap();
    writer.ask("open", &path).unwrap();
}

#[test]
fn a_file_of_1_5_stays_one() {
    let folder = tempfile::tempdir().unwrap();
    let engine =
        DuckDbEngine::new(folder.path().canonicalize().unwrap().join("a.db"), DuckDbOptions::default()).unwrap();
    let path = engine.path().to_str().unwrap().to_owned();
    let mut foreign = Foreign::start();
    foreign.ask("open", &path).unwrap();
    foreign.ask("sql", "CREATE TABLE t AS SELECT i, 'text ' || i AS s FROM range(10000) r(i)").unwrap();
    foreign.ask("close", "").unwrap();
    for round in 1..=2 {
        engine.attach(Access::ReadWrite).unwrap();
        let mut session = Session(engine.open_session(&SessionOptions::default()).unwrap());
        session.run("INSERT INTO t SELECT i, 'new' FROM range(100) r(i)");
        session.run(&format!("CREATE TABLE t{round} AS SELECT * FROM t"));
        session.run("UPDATE t SET s = s || '!' WHERE i < 10");
        session.run("CHECKPOINT");
        drop(session);
        engine.release().unwrap();
        foreign.ask("open", &path).unwrap();
        assert_eq!(foreign.ask("sql", "SELECT count(*) FROM t").unwrap(), format!("[[\"{}\"]]", 10000 + round * 100));
        foreign.ask("sql", "INSERT INTO t SELECT i, 'old' FROM range(0) r(i)").unwrap();
        foreign.ask("close", "").unwrap();
    }
}

#[test]
fn a_replaced_file_is_noticed() {
    let database = Database::new("a.db");
    database.engine.verify(true).unwrap();
    // Another process: this one's own wall refuses it.
    let away = database.path.with_file_name("away.db");
    assert!(Command::new("mv").arg(&database.path).arg(&away).status().unwrap().success());
    assert!(matches!(database.engine.verify(false), Err(EngineError::FileLost { .. })));
    assert!(Command::new("cp").arg(&away).arg(&database.path).status().unwrap().success());
    assert!(matches!(database.engine.verify(false), Err(EngineError::FileLost { .. })));
    assert!(Command::new("mv").arg(&away).arg(&database.path).status().unwrap().success());
    database.engine.verify(true).unwrap();
}

#[test]
fn sessions_live_on_while_the_file_is_released() {
    let database = Database::with("a.db", readable_by_1_5());
    let mut session = database.session();
    session.run("CREATE TABLE t AS SELECT 1 AS x");
    session.run("CREATE TEMP TABLE mine AS SELECT 2 AS x");
    session.run("SET VARIABLE v = 3");
    session.run("SET null_order = 'nulls_first'");
    session.run("PREPARE p AS SELECT 4 AS x");
    assert!(session.0.state().has_state);
    let fresh = database.session();
    database.engine.release().unwrap();
    let opened_while_released = database.session();
    let mut foreign = Foreign::start();
    foreign.ask("open", database.path.to_str().unwrap()).unwrap();
    foreign.ask("sql", "INSERT INTO t VALUES (5)").unwrap();
    foreign.ask("close", "").unwrap();
    database.engine.attach(Access::ReadWrite).unwrap();
    assert_eq!(session.one("SELECT sum(x) FROM t"), "6");
    assert_eq!(session.one("SELECT x FROM mine"), "2");
    assert_eq!(session.one("SELECT getvariable('v')"), "3");
    assert_eq!(session.one("SELECT current_setting('null_order')"), "NULLS_FIRST");
    assert_eq!(session.one("EXECUTE p"), "4");
    for mut other in [fresh, opened_while_released] {
        assert!(!other.0.state().has_state);
        assert_eq!(other.one("SELECT sum(x) FROM t"), "6");
        assert!(other.try_run("SELECT * FROM mine").is_err(), "temporary tables are the session's own");
        assert_eq!(other.one("SELECT current_setting('null_order')"), "NULLS_LAST");
    }
}

#[test]
fn files_that_this_duckdb_cannot_open_are_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let mut foreign = Foreign::start();
    foreign.ask("open", path.join("main.db").to_str().unwrap()).unwrap();
    foreign.ask("sql", "SET force_mbedtls_unsafe = 'true'").unwrap();
    foreign
        .ask("sql", &format!("ATTACH '{}' AS e (ENCRYPTION_KEY 'key')", path.join("encrypted.db").display()))
        .unwrap();
    foreign.ask("sql", "CREATE TABLE e.t AS SELECT 1 AS x").unwrap();
    foreign.ask("sql", "CHECKPOINT e").unwrap();
    foreign.ask("sql", "CHECKPOINT").unwrap();
    drop(foreign);
    let answer = engine(&folder, "encrypted.db").attach(Access::ReadWrite);
    assert!(matches!(&answer, Err(EngineError::Unsupported { what, .. }) if what.contains("encrypted")), "{answer:?}");
    let mut content = fs::read(path.join("main.db")).unwrap();
    content[100] ^= 1;
    fs::write(path.join("broken.db"), content).unwrap();
    let answer = engine(&folder, "broken.db").attach(Access::ReadWrite);
    assert!(matches!(&answer, Err(EngineError::Damaged { message, .. }) if message.contains("Corrupt")), "{answer:?}");
    let answer = DuckDbEngine::new(
        path.join("a.db"),
        DuckDbOptions { storage_version: Some("v9.9".into()), ..DuckDbOptions::default() },
    )
    .unwrap()
    .attach(Access::ReadWrite);
    assert!(matches!(&answer, Err(EngineError::Unsupported { what, .. }) if what.contains("v9.9")), "{answer:?}");
    assert!(!path.join("a.db").exists(), "nothing was made");
}
