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
    path::Path,
};

use crate::support::{Database, Foreign, Session};
use dbmux_duckdb::DuckDbOptions;
use dbmux_engine::{Access, Engine, EngineError, SessionOptions};

/// A database with rows, a log, a sidecar, and other names for each of them.
fn prepared() -> (Database, Session) {
    let options = DuckDbOptions { storage_version: Some("v1.4.0".to_owned()), ..DuckDbOptions::default() };
    let database = Database::with("sales.duckdb", options);
    let mut session = database.session();
    session.run("CREATE TABLE orders (id INTEGER)");
    session.run("INSERT INTO orders VALUES (1), (2), (3)");
    let folder = database.path.parent().unwrap();
    fs::write(folder.join("sales.duckdb.dbmux"), "sidecar").unwrap();
    fs::write(folder.join("other.csv"), "a\n1\n").unwrap();
    assert!(folder.join("sales.duckdb.wal").exists(), "there is a log to protect");
    for file in ["sales.duckdb", "sales.duckdb.wal", "sales.duckdb.dbmux"] {
        let name = file.replace("sales.duckdb", "db").replace('.', "_");
        symlink(folder.join(file), folder.join(format!("{name}_symlink"))).unwrap();
        // Made by another process: this one's wall refuses even that.
        let linked = std::process::Command::new("ln")
            .arg(folder.join(file))
            .arg(folder.join(format!("{name}_hardlink")))
            .status()
            .unwrap();
        assert!(linked.success());
    }
    symlink("sales.duckdb.wal", folder.join("profile.json")).unwrap();
    fs::create_dir(folder.join("sub")).unwrap();
    symlink(folder, folder.join("sub/up")).unwrap();
    (database, session)
}

/// All is as it was: the lock, the inodes, the rows; and all the more after the release.
fn unharmed(database: &Database, session: &mut Session, foreign: &mut Foreign, after: &str) {
    foreign.kept_out(&database.path, after);
    database.engine.verify(true).unwrap_or_else(|error| panic!("{after}: {error}"));
    assert_eq!(session.one("SELECT count(*) FROM orders"), "3", "{after}");
    let sidecar = fs::read_to_string(database.path.with_file_name("sales.duckdb.dbmux")).unwrap();
    assert_eq!(sidecar, "sidecar", "{after}");
}

/// Every name of the database, of its log, and of its sidecar.
fn names(folder: &Path) -> Vec<String> {
    let absolute = folder.display();
    let mut names = Vec::new();
    for (file, short) in [("sales.duckdb", "db"), ("sales.duckdb.wal", "db_wal"), ("sales.duckdb.dbmux", "db_dbmux")] {
        names.extend([
            format!("{absolute}/{file}"),
            file.to_owned(),
            format!("./sub/../{file}"),
            format!("sub/up/{file}"),
            format!("file://{absolute}/{file}"),
            format!("{absolute}/{short}_symlink"),
            format!("{absolute}/{short}_hardlink"),
        ]);
    }
    names
}

#[test]
fn reading_them_is_refused_by_name() {
    let (database, mut session) = prepared();
    let mut foreign = Foreign::start();
    let folder = database.path.parent().unwrap().to_owned();
    for name in names(&folder) {
        for statement in [
            format!("SELECT * FROM read_text('{name}')"),
            format!("SELECT * FROM read_blob('{name}')"),
            format!("SELECT * FROM read_csv('{name}')"),
            format!("SELECT * FROM read_csv('{name}', columns = {{'a': 'VARCHAR'}}, auto_detect = false)"),
            format!("SELECT * FROM parquet_metadata('{name}')"),
            format!("SELECT * FROM read_parquet('{name}')"),
            format!("SELECT * FROM read_json('{name}')"),
            format!("SELECT * FROM sniff_csv('{name}')"),
            format!("SELECT * FROM read_duckdb('{name}')"),
            format!("COPY orders FROM '{name}'"),
        ] {
            let answer = session.try_run(&statement);
            assert!(answer.is_err(), "{statement}: {answer:?}");
            assert!(
                matches!(answer, Err(EngineError::Refused { .. })),
                "{statement} is not refused by name: {answer:?}"
            );
        }
        unharmed(&database, &mut session, &mut foreign, &format!("reading {name}"));
    }
}

#[test]
fn a_glob_that_matches_them_is_refused() {
    let (database, mut session) = prepared();
    let mut foreign = Foreign::start();
    for pattern in ["*", "sales*", "*.duckdb", "**", "sales.duckdb.w?l", "[s]ales.duckdb", "sub/up/*.duckdb"] {
        let statement = format!("SELECT content FROM read_text('{pattern}')");
        session.refused(&statement);
        let statement = format!("SELECT * FROM read_text((SELECT '{pattern}'))");
        assert!(session.try_run(&statement).is_err(), "{statement}");
        unharmed(&database, &mut session, &mut foreign, pattern);
    }
    // Other files are still read, and listing is no opening.
    assert_eq!(session.one("SELECT a FROM 'other.csv'"), "1");
    assert_eq!(session.one("SELECT count(*) FROM glob('sales*')"), "3");
}

#[test]
fn writing_over_them_is_refused() {
    let (database, mut session) = prepared();
    let mut foreign = Foreign::start();
    let folder = database.path.parent().unwrap().to_owned();
    for name in names(&folder) {
        for statement in [
            format!("COPY (SELECT 1) TO '{name}'"),
            format!("COPY (SELECT 1) TO '{name}' (FORMAT parquet)"),
            format!("COPY (SELECT 1) TO '{name}' (FORMAT json)"),
            format!("COPY (SELECT 1) TO '{name}' (FORMAT csv, USE_TMP_FILE false)"),
            format!("COPY (SELECT 'x'::BLOB) TO '{name}' (FORMAT blob)"),
            format!("COPY (SELECT 1 a) TO '{name}' (PARTITION_BY a, OVERWRITE)"),
            format!("COPY (SELECT 1) TO '{name}' (PER_THREAD_OUTPUT, OVERWRITE)"),
            format!("EXPORT DATABASE '{name}'"),
        ] {
            let answer = session.try_run(&statement);
            assert!(answer.is_err(), "{statement}: {answer:?}");
        }
        session.refused(&format!("COPY (SELECT 1) TO '{name}'"));
        unharmed(&database, &mut session, &mut foreign, &format!("writing {name}"));
    }
    // Nor the folder that they are in.
    for folder in [folder.display().to_string(), ".".to_owned(), "sub/..".to_owned(), "sub/up".to_owned()] {
        let statement = format!("COPY (SELECT 1 a) TO '{folder}' (PARTITION_BY a, OVERWRITE)");
        let answer = session.try_run(&statement);
        assert!(answer.is_err(), "{statement}: {answer:?}");
        unharmed(&database, &mut session, &mut foreign, &statement);
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
    let (database, mut session) = prepared();
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
    let (database, mut session) = prepared();
    let mut foreign = Foreign::start();
    let path = database.path.display().to_string();
    let evil = database.path.with_file_name("evil");
    fs::create_dir(&evil).unwrap();
    fs::write(evil.join("schema.sql"), "CREATE TABLE evil (x VARCHAR);\nDETACH sales;\n").unwrap();
    fs::write(evil.join("load.sql"), format!("COPY evil FROM '{path}';\n")).unwrap();
    let descriptor = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|entry| fs::metadata(entry).is_ok_and(|found| found.ino() == fs::metadata(&database.path).unwrap().ino()))
        .expect("DuckDB has the file open");
    for statement in [
        format!("SELECT * FROM read_text('{}')", descriptor.display()),
        format!(
            "SELECT * FROM read_text('/proc/{}/fd/{}')",
            std::process::id(),
            descriptor.file_name().unwrap().to_str().unwrap()
        ),
        "SELECT * FROM read_csv('/dev/stdin')".to_owned(),
        format!("SET temp_directory = '{path}'"),
        format!("SET secret_directory = '{path}'"),
        format!("SET extension_directory = '{path}'"),
        format!("SET log_query_path = '{path}'"),
        "SET allow_unsigned_extensions = true".to_owned(),
        "SET enable_external_access = false".to_owned(),
        "SET lock_configuration = true".to_owned(),
        "SET fsync_mode = 'none'".to_owned(),
        format!("CALL enable_logging(storage = 'file', storage_config = {{'path': '{path}.wal'}})"),
        format!("SELECT * FROM enable_logging(storage_path = '{path}.wal')"),
        format!("LOAD '{path}'"),
        format!("INSTALL '{path}'"),
        format!("FORCE INSTALL sales FROM '{}'", database.path.parent().unwrap().display()),
        "IMPORT DATABASE 'evil'".to_owned(),
        "DROP DATABASE sales".to_owned(),
        "DROP DATABASE IF EXISTS sales".to_owned(),
        "CONNECT TO sales".to_owned(),
        "DETACH sales".to_owned(),
        "DETACH DATABASE IF EXISTS \"SALES\"".to_owned(),
        "ALTER DATABASE sales RENAME TO s".to_owned(),
        "PREPARE p AS DETACH sales".to_owned(),
        format!("ATTACH '{path}' AS again"),
        format!("ATTACH '{path}' AS again (READ_ONLY)"),
        "ATTACH 'db_hardlink' AS again".to_owned(),
        "ATTACH 'db_symlink' AS again (READ_ONLY)".to_owned(),
        "USE memory".to_owned(),
        "USE system".to_owned(),
        "CREATE TABLE memory.main.lost (x INTEGER)".to_owned(),
        "SET search_path = 'memory'".to_owned(),
        format!("SELECT * FROM '{path}'"),
        format!("FROM json_execute_serialized_sql(json_serialize_sql('FROM read_text(''{path}'')'))"),
        "SET enable_profiling = 'json'".to_owned(),
        "SET profiling_output = 'profile.json'".to_owned(),
    ] {
        let answer = session.try_run(&statement);
        if statement.contains("profiling") {
            answer.unwrap();
            if statement.contains("output") {
                // The statement is done when its profile is written, or not.
                let _ = session.try_run("SELECT 42");
                session.run("RESET profiling_output");
                session.run("PRAGMA disable_profiling");
            }
        } else {
            assert!(answer.is_err(), "{statement}: {answer:?}");
        }
        unharmed(&database, &mut session, &mut foreign, &statement);
    }
}

#[test]
fn what_was_acknowledged_is_there_after_the_release() {
    let (database, mut session) = prepared();
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
    let (database, mut session) = prepared();
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
    let (database, mut session) = prepared();
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
    unharmed(&database, &mut session, &mut foreign, "our own calls");
}

#[test]
fn reset_of_the_search_path_returns_to_the_database() {
    let (database, mut session) = prepared();
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
    let (database, _) = prepared();
    let mut session = database.session_with(SessionOptions::default());
    let (what, why) = session.refused("SELECT * FROM read_csv('other.csv')");
    assert!(what.contains("other.csv") && why.contains("absolute"), "{what}: {why}");
    let path = database.path.with_file_name("other.csv");
    assert_eq!(session.one(&format!("SELECT a FROM '{}'", path.display())), "1");
}
