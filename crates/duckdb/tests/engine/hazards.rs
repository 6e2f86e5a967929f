//! The hazards: no client's statement makes the attached file lose its lock, or replaces, truncates, removes or writes
//! it, its log or its sidecar. After each, a foreign process is still kept out, and every row is there.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by panicking"
)]

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    process::Command,
};

use crate::support::{Database, Foreign, Session};
use dbmux_duckdb::DuckDbOptions;
use dbmux_engine::{Access, Engine, EngineError, SessionOptions};
use dbmux_testkit::Hazards;

/// A database with rows, a log, a sidecar, and other names for each of them.
fn prepared() -> (Database, Hazards, Session) {
    let options = DuckDbOptions { storage_version: Some("v1.4.0".to_owned()), ..DuckDbOptions::default() };
    let database = Database::with("sales.duckdb", options);
    let mut session = database.session();
    session.run("CREATE TABLE orders (id INTEGER)");
    session.run("INSERT INTO orders VALUES (1), (2), (3)");
    let folder = database.path.parent().unwrap();
    fs::write(folder.join("sales.duckdb.dbmux"), "sidecar").unwrap();
    let hazards = Hazards::around(&database.path);
    symlink("sales.duckdb.wal", folder.join("profile.json")).unwrap();
    (database, hazards, session)
}

/// All is as it was: the lock, the inodes, the rows; and all the more after the release.
fn unharmed(database: &Database, session: &mut Session, foreign: &mut Foreign, after: &str) {
    foreign.kept_out(&database.path, after);
    database.engine.verify(true).unwrap_or_else(|error| panic!("{after}: {error}"));
    assert_eq!(session.one("SELECT count(*) FROM orders"), "3", "{after}");
    let sidecar = fs::read_to_string(database.path.with_file_name("sales.duckdb.dbmux")).unwrap();
    assert_eq!(sidecar, "sidecar", "{after}");
}

#[test]
fn reading_them_is_refused_by_name() {
    let (database, hazards, mut session) = prepared();
    let mut foreign = Foreign::start();
    for name in hazards.names() {
        for statement in Hazards::reads(&name) {
            session.refused(&statement);
        }
        unharmed(&database, &mut session, &mut foreign, &format!("reading {name}"));
    }
}

#[test]
fn a_glob_that_matches_them_is_refused() {
    let (database, _hazards, mut session) = prepared();
    let mut foreign = Foreign::start();
    for pattern in Hazards::GLOBS {
        let statement = format!("SELECT content FROM read_text('{pattern}')");
        session.refused(&statement);
        unharmed(&database, &mut session, &mut foreign, pattern);
    }
    // Other files are still read, and listing is no opening.
    assert_eq!(session.one("SELECT a FROM 'other.csv'"), "1");
    assert_eq!(session.one("SELECT count(*) FROM glob('sales*')"), "3");
}

#[test]
fn writing_over_them_is_refused() {
    let (database, hazards, mut session) = prepared();
    let mut foreign = Foreign::start();
    for name in hazards.names() {
        for statement in Hazards::writes(&name) {
            session.refused(&statement);
        }
        unharmed(&database, &mut session, &mut foreign, &format!("writing {name}"));
    }
    // Nor the folder that they are in, and nothing else in it is gone.
    for folder in hazards.folders() {
        let statement = Hazards::overwrites(&folder);
        session.refused(&statement);
        unharmed(&database, &mut session, &mut foreign, &statement);
        assert_eq!(session.one("SELECT a FROM 'other.csv'"), "1", "{statement}");
    }
}

#[test]
fn a_log_that_is_not_there_yet_cannot_be_made() {
    let database = Database::new("sales.duckdb");
    let mut session = database.session();
    session.run("CREATE TABLE orders AS SELECT 1 AS id");
    session.run("CHECKPOINT");
    let folder = database.path.parent().unwrap();
    assert!(!folder.join("sales.duckdb.wal").exists());
    symlink("sales.duckdb.wal", folder.join("dangling")).unwrap();
    for name in ["sales.duckdb.wal", "sales.duckdb.wal.checkpoint", "sales.duckdb.wal.recovery", "dangling"] {
        session.refused(&format!("COPY (SELECT 1) TO '{name}'"));
        assert!(!folder.join("sales.duckdb.wal").exists(), "{name}");
    }
    session.run("INSERT INTO orders VALUES (2)");
    assert_eq!(session.one("SELECT count(*) FROM orders"), "2");
}

#[test]
fn computed_names_and_parameters_are_refused_too() {
    let (database, _hazards, mut session) = prepared();
    let mut foreign = Foreign::start();
    let path = database.path.display().to_string();
    for statement in [
        format!("SELECT * FROM read_text('{}' || '{}')", &path[..5], &path[5..]),
        format!("SELECT * FROM read_text(['other.csv', '{path}'])"),
        "SELECT * FROM read_blob(getvariable('p'))".to_owned(),
        "COPY orders TO (getvariable('p'))".to_owned(),
    ] {
        session.run(&format!("SET VARIABLE p = '{path}'"));
        let answer = session.try_run(&statement);
        assert!(answer.is_err(), "{statement}: {answer:?}");
        unharmed(&database, &mut session, &mut foreign, &statement);
    }
    let values = arrow::array::RecordBatch::try_from_iter([(
        "1",
        std::sync::Arc::new(arrow::array::StringArray::from(vec![path])) as arrow::array::ArrayRef,
    )])
    .unwrap();
    for statement in ["SELECT * FROM read_text($1)", "COPY orders TO $1"] {
        let answer = session.try_run_with(statement, Some(&values), false);
        assert!(answer.is_err(), "{statement}: {answer:?}");
        unharmed(&database, &mut session, &mut foreign, statement);
    }
}

#[test]
fn the_ways_round_are_closed() {
    let (database, hazards, mut session) = prepared();
    let mut foreign = Foreign::start();
    let descriptor = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|entry| fs::metadata(entry).is_ok_and(|found| found.ino() == fs::metadata(&database.path).unwrap().ino()))
        .expect("DuckDB has the file open");
    let by_descriptor = [
        format!("SELECT * FROM read_text('{}')", descriptor.display()),
        format!(
            "SELECT * FROM read_text('/proc/{}/fd/{}')",
            std::process::id(),
            descriptor.file_name().unwrap().to_str().unwrap()
        ),
    ];
    for statement in hazards.ways_round().into_iter().chain(by_descriptor) {
        session.refused(&statement);
        unharmed(&database, &mut session, &mut foreign, &statement);
    }
    for (statement, words) in hazards.closed_by_duckdb() {
        let error = session.try_run(&statement).expect_err(&statement);
        assert!(error.to_string().contains(words), "{statement}: {error}");
        unharmed(&database, &mut session, &mut foreign, &statement);
    }
    // A profile is written by DuckDB itself, when the statement is done; or not.
    session.run("SET enable_profiling = 'json'");
    session.run("SET profiling_output = 'profile.json'");
    let _ = session.try_run("SELECT 42");
    session.run("RESET profiling_output");
    session.run("PRAGMA disable_profiling");
    unharmed(&database, &mut session, &mut foreign, "a profile");
}

#[test]
fn what_was_acknowledged_is_there_after_the_release() {
    let (database, hazards, mut session) = prepared();
    let mut foreign = Foreign::start();
    for statement in
        ["SELECT * FROM read_text('*')", "COPY (SELECT 1) TO 'sales.duckdb'", "COPY (SELECT 1) TO 'db_symlink'"]
    {
        assert!(session.try_run(statement).is_err(), "{statement}");
    }
    session.run("INSERT INTO orders VALUES (4)");
    database.engine.release().unwrap();
    foreign.ask("open", database.path.to_str().unwrap()).expect("released");
    assert_eq!(foreign.ask("sql", "SELECT count(*) FROM orders").unwrap(), "[[\"4\"]]");
    // By several names it would have several owners.
    let linked = database.engine.attach(Access::ReadWrite);
    assert!(
        matches!(&linked, Err(EngineError::Refused { why, .. }) if why.contains("2 names (hard links)")),
        "{linked:?}"
    );
    hazards.remove_hard_links();
    // And while a foreign process has it, attaching says so.
    let taken = database.engine.attach(Access::ReadWrite);
    assert!(
        matches!(&taken, Err(EngineError::Locked { message, .. }) if message.contains(&foreign.id().to_string())),
        "{taken:?}"
    );
    foreign.ask("close", "").unwrap();
    database.engine.attach(Access::ReadWrite).unwrap();
    assert_eq!(session.one("SELECT count(*) FROM orders"), "4");
}

#[test]
fn the_lock_outlives_a_close_of_the_same_file() {
    let (database, _hazards, mut session) = prepared();
    let mut foreign = Foreign::start();
    // By a system call of its own, past every wall.
    let file = rustix::fs::open(&database.path, rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
    drop(file);
    unharmed(&database, &mut session, &mut foreign, "a close");
    database.engine.release().unwrap();
    foreign.ask("open", database.path.to_str().unwrap()).expect("released");
}

#[test]
fn this_process_does_not_open_them_either() {
    let (database, _hazards, mut session) = prepared();
    let mut foreign = Foreign::start();
    let folder = database.path.parent().unwrap();
    for name in ["sales.duckdb", "sales.duckdb.wal", "db_symlink", "db_hardlink", "db_wal_hardlink"] {
        let path = folder.join(name);
        let denied = |result: std::io::Result<()>| {
            assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::PermissionDenied, "{name}");
        };
        denied(fs::File::open(&path).map(drop));
        denied(fs::OpenOptions::new().append(true).create(true).open(&path).map(drop));
        denied(fs::rename(&path, folder.join("away")));
        denied(fs::rename(folder.join("other.csv"), &path));
        denied(fs::hard_link(&path, folder.join("one_more")));
        denied(fs::remove_file(&path));
    }
    // Another database's files are read, and nothing else.
    let theirs = folder.join("theirs.duckdb");
    Command::new("cp").arg(folder.join("other.csv")).arg(&theirs).status().unwrap();
    let touched = Command::new("touch").arg(folder.join("theirs.duckdb.dbmux")).status().unwrap();
    assert!(touched.success() && theirs.exists());
    for name in ["theirs.duckdb", "theirs.duckdb.wal", "theirs.duckdb.dbmux", "theirs.duckdb.tmp"] {
        let path = folder.join(name);
        let denied = |result: std::io::Result<()>| {
            assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::PermissionDenied, "{name}");
        };
        denied(fs::write(&path, "lost"));
        denied(fs::OpenOptions::new().append(true).create(true).open(&path).map(drop));
        denied(fs::rename(folder.join("other.csv"), &path));
        denied(fs::rename(&path, folder.join("away")));
        denied(fs::remove_file(&path));
    }
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "a\n1\n");
    fs::write(folder.join("free.duckdb"), "free").unwrap();
    unharmed(&database, &mut session, &mut foreign, "our own calls");
}

#[test]
fn reset_of_the_search_path_returns_to_the_database() {
    let (database, _hazards, mut session) = prepared();
    session.run("CREATE SCHEMA s");
    session.run("USE s");
    session.run("RESET search_path");
    session.run("CREATE TABLE kept AS SELECT 1 AS x");
    assert_eq!(session.one("SELECT count(*) FROM sales.main.kept"), "1");
    assert_eq!(session.one("SELECT current_catalog()"), "sales");
    let mut other = database.session_with(SessionOptions::default());
    assert_eq!(other.one("SELECT count(*) FROM kept"), "1");
}

#[test]
fn a_session_without_a_directory_gives_absolute_paths() {
    let (database, _hazards, _) = prepared();
    let mut session = database.session_with(SessionOptions::default());
    let (what, why) = session.refused("SELECT * FROM read_csv('other.csv')");
    assert!(what.contains("other.csv") && why.contains("absolute"), "{what}: {why}");
    let path = database.path.with_file_name("other.csv");
    assert_eq!(session.one(&format!("SELECT a FROM '{}'", path.display())), "1");
}
