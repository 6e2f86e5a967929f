//! What a session attaches beside its database.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by panicking"
)]

use std::fs;

use crate::support::{Database, Foreign, open_files};
use dbmux_duckdb::DuckDbOptions;
use dbmux_engine::{Engine, EngineError};

#[test]
fn another_file_is_a_copy_under_a_name_of_the_sessions_own() {
    let database = Database::new("a.db");
    let folder = database.path.parent().unwrap();
    let mut foreign = Foreign::start();
    for (file, value) in [("other.duckdb", 1), ("third.duckdb", 2)] {
        foreign.ask("open", folder.join(file).to_str().unwrap()).unwrap();
        foreign.ask("sql", &format!("CREATE TABLE t AS SELECT {value} AS x")).unwrap();
    }
    foreign.ask("close", "").unwrap();
    let (mut one, mut two) = (database.session(), database.session());
    one.run("ATTACH 'other.duckdb' (READ_ONLY)");
    two.run("ATTACH 'third.duckdb' AS other (READ_ONLY)");
    assert!(one.0.state().has_state);
    assert_eq!((one.one("SELECT x FROM other.t"), two.one("SELECT x FROM other.main.t")), ("1".into(), "2".into()));
    one.run("CREATE TABLE mine AS SELECT * FROM other.t");
    assert_eq!(one.one("SELECT count(*) FROM mine JOIN other.t USING (x)"), "1");
    // Nobody else sees them.
    assert!(database.session().try_run("SELECT * FROM other.t").is_err());
    // It is a copy: the file's own writers are in nobody's way.
    foreign.ask("open", folder.join("other.duckdb").to_str().unwrap()).unwrap();
    foreign.ask("sql", "INSERT INTO t VALUES (10)").unwrap();
    assert_eq!(one.one("SELECT sum(x) FROM other.t"), "1");
    foreign.ask("close", "").unwrap();
    // In a transaction of the session's, and across its end.
    one.run("BEGIN");
    one.run("ATTACH OR REPLACE 'other.duckdb' AS other (READ_ONLY)");
    assert_eq!(one.one("SELECT sum(x) FROM other.t"), "11");
    one.run("ROLLBACK");
    assert_eq!(one.one("SELECT sum(x) FROM other.t"), "11");
    one.run("ATTACH IF NOT EXISTS 'other.duckdb' AS other (READ_ONLY)");
    assert!(one.try_run("ATTACH 'other.duckdb' (READ_ONLY)").is_err(), "the name is taken");
    assert!(one.try_run("INSERT INTO other.t VALUES (1)").is_err());
    one.run("USE other");
    assert!(one.try_run("DETACH other").is_err());
    one.run("RESET search_path");
    let copies = || {
        let open = open_files(folder);
        open.iter().filter(|path| path.to_string_lossy().contains("copy.duckdb")).count()
    };
    assert_eq!(copies(), 2, "one for each");
    one.run("DETACH other");
    assert_eq!(copies(), 1);
    assert!(one.try_run("SELECT * FROM other.t").is_err());
    two.refused("DETACH a");
    drop((one, two));
    assert_eq!(copies(), 0);
    assert!(
        !folder.join("a.db.tmp/dbmux").exists() || fs::read_dir(folder.join("a.db.tmp/dbmux")).unwrap().count() == 0
    );
    foreign.ask("open", folder.join("third.duckdb").to_str().unwrap()).expect("nobody has it");
}

#[test]
fn a_log_that_was_left_is_copied_too() {
    let database = Database::new("a.db");
    let path = database.path.with_file_name("other.duckdb");
    let mut foreign = Foreign::start();
    foreign.ask("open", path.to_str().unwrap()).unwrap();
    foreign.ask("sql", "CREATE TABLE t AS SELECT 1 AS x").unwrap();
    drop(foreign); // Killed: what it wrote is in the log.
    assert!(path.with_file_name("other.duckdb.wal").exists());
    let mut session = database.session();
    session.run("ATTACH 'other.duckdb' (READ_ONLY)");
    assert_eq!(session.one("SELECT x FROM other.t"), "1");
    assert!(path.with_file_name("other.duckdb.wal").exists(), "the original is as it was");
}

#[test]
fn what_cannot_be_attached_is_refused_by_name() {
    let database = Database::new("a.db");
    let folder = database.path.parent().unwrap();
    fs::write(folder.join("text.csv"), "a\n1\n").unwrap();
    let mut foreign = Foreign::start();
    foreign.ask("open", folder.join("busy.duckdb").to_str().unwrap()).unwrap();
    let mut session = database.session();
    let (_, why) = session.refused("ATTACH 'busy.duckdb' (READ_ONLY)");
    assert!(why.contains(&format!("pid {}", foreign.id())), "{why}");
    assert!(why.contains("`dbmux who ") && why.contains("busy.duckdb`"), "it says what to look at: {why}");
    for (statement, word) in [
        ("ATTACH 'busy.duckdb'", "READ_ONLY"),
        ("ATTACH 'busy.duckdb'", "`dbmux sql busy.duckdb`"),
        ("ATTACH 'text.csv' (READ_ONLY)", "text file"),
        ("ATTACH 'a.db' AS again (READ_ONLY)", "attached"),
        ("ATTACH 'x' || 'y' AS z (READ_ONLY)", "written out"),
        ("PREPARE p AS ATTACH ':memory:' AS m", "by itself"),
    ] {
        match session.try_run(statement) {
            Err(EngineError::Refused { why, .. }) => assert!(why.contains(word), "{statement}: {why}"),
            // A text that is no statement is as good.
            Err(EngineError::Sql { sqlstate: "42601", .. }) => {}
            other => panic!("{statement}: {other:?}"),
        }
    }
    for statement in [
        "ATTACH 'postgres:dbname=x' AS p",
        "ATTACH 'x.sqlite' (TYPE sqlite, READ_ONLY)",
        "ATTACH 'x.duckdb' (READ_ONLY, ENCRYPTION_KEY 'k')",
        "ATTACH 'https://example.org/x.duckdb' (READ_ONLY)",
    ] {
        let answer = session.try_run(statement);
        let told = matches!(answer, Err(EngineError::Unsupported { .. } | EngineError::Refused { .. }));
        assert!(told, "{statement}: {answer:?}");
    }
    let answer = session.try_run("ATTACH 'missing.duckdb' (READ_ONLY)");
    assert!(
        matches!(&answer, Err(EngineError::Sql { message, .. }) if message.contains("missing.duckdb")),
        "{answer:?}"
    );
    assert!(session.try_run("SELECT * FROM 'busy.duckdb'").is_err());
    database.engine.verify(true).unwrap();
}

#[test]
fn a_database_in_memory_is_the_sessions_own() {
    let database = Database::new("a.db");
    let (mut one, mut two) = (database.session(), database.session());
    for session in [&mut one, &mut two] {
        session.run("ATTACH ':memory:' AS scratch");
        session.run("CREATE TABLE scratch.t AS SELECT 1 AS x");
    }
    one.run("INSERT INTO scratch.t VALUES (2)");
    assert_eq!(
        (one.one("SELECT sum(x) FROM scratch.t"), two.one("SELECT sum(x) FROM scratch.t")),
        ("3".into(), "1".into())
    );
    database.engine.release().unwrap();
    database.engine.attach(dbmux_engine::Access::ReadWrite).unwrap();
    assert_eq!(one.one("SELECT sum(x) FROM scratch.t"), "3");
}

#[test]
fn two_that_attach_each_others_file_do_not_block_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let engines: Vec<_> = ["a.db", "b.db"]
        .map(|name| dbmux_duckdb::DuckDbEngine::new(path.join(name), DuckDbOptions::default()).unwrap())
        .into();
    let started = std::time::Instant::now();
    std::thread::scope(|scope| {
        for (engine, other) in [(&engines[0], "b.db"), (&engines[1], "a.db")] {
            let path = path.clone();
            scope.spawn(move || {
                use dbmux_engine::{Access, SessionOptions};
                let options = SessionOptions { working_directory: Some(path), read_only: false, local: true };
                for _ in 0..20 {
                    engine.attach(Access::ReadWrite).unwrap();
                    let mut session = crate::support::Session(engine.open_session(&options).unwrap());
                    let answer = session.try_run(&format!("ATTACH '{other}' AS other (READ_ONLY)"));
                    let told = matches!(answer, Ok(_) | Err(EngineError::Refused { .. } | EngineError::Sql { .. }));
                    assert!(told, "{answer:?}");
                    drop(session);
                    engine.release().unwrap();
                }
            });
        }
    });
    assert!(started.elapsed() < std::time::Duration::from_secs(20));
}
