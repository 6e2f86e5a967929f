//! A copy that answers in the file's stead, while a foreign process has the file.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by panicking"
)]

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, SystemTime},
};

use crate::support::{Database, Foreign, Session};
use dbmux_duckdb::DuckDbOptions;
use dbmux_engine::{Access, Engine, EngineError};

/// A copy without a name, made by another process: this one has the file attached.
fn copy(database: &Database) -> File {
    let folder = database.path.parent().unwrap();
    let flags = rustix::fs::OFlags::TMPFILE.bits() as i32;
    let copy = OpenOptions::new().read(true).write(true).mode(0o600).custom_flags(flags).open(folder).unwrap();
    let output = Stdio::from(copy.try_clone().unwrap());
    assert!(Command::new("cat").arg(&database.path).stdout(output).status().unwrap().success());
    copy
}

fn stand_in(database: &Database) -> SystemTime {
    let now = SystemTime::now();
    database.engine.settle().unwrap();
    database.engine.stand_in(copy(database), now).unwrap();
    now
}

/// The one value, and as of when it is true.
fn labelled(session: &mut Session, sql: &str) -> Result<(String, Option<SystemTime>), EngineError> {
    let prepared = session.0.prepare(sql)?;
    let answer = {
        let mut rows = session.0.execute(prepared.id, None, false)?;
        let as_of = rows.as_of();
        let batch = rows.next()?.unwrap();
        let value = crate::support::text(&batch)[0][0].clone();
        while rows.next()?.is_some() {}
        (value, as_of)
    };
    session.0.forget(prepared.id);
    Ok(answer)
}

#[test]
fn sessions_read_on_while_another_process_writes_the_file() {
    let options = DuckDbOptions { storage_version: Some("v1.4.0".to_owned()), ..DuckDbOptions::default() };
    let database = Database::with("sales.duckdb", options);
    let mut session = database.session();
    session.run("CREATE TABLE orders AS SELECT range AS id FROM range(1000)");
    session.run("CREATE SCHEMA s");
    session.run("CREATE TABLE s.t AS SELECT 7 AS x");
    session.run("CREATE TEMP TABLE mine AS SELECT 1 AS id");
    session.run("SET VARIABLE v = 5");
    session.run("SET default_order = 'DESC'");
    session.run("PREPARE p AS SELECT count(*) FROM orders WHERE id < $1");
    let kept = session.0.prepare("SELECT count(*) FROM orders").unwrap();
    let mut used = database.session();
    used.run("USE s");
    let as_of = stand_in(&database);
    assert_eq!(database.engine.snapshot(), Some(as_of));
    assert!(!database.engine.has_file_open() && database.engine.attachment().is_none());
    let mut foreign = Foreign::start();
    foreign.ask("open", database.path.to_str().unwrap()).expect("the file is let go");
    foreign.ask("sql", "INSERT INTO orders SELECT range + 1000 FROM range(500)").unwrap();
    let check = |session: &mut Session, used: &mut Session, rows: &str, as_of: Option<SystemTime>| {
        for name in ["orders", "main.orders", "sales.orders", "sales.main.orders"] {
            let answer = labelled(session, &format!("SELECT count(*) FROM {name}")).unwrap();
            assert_eq!(answer, (rows.to_owned(), as_of), "{name}");
        }
        assert_eq!(session.one("SELECT count(*) FROM orders JOIN mine USING (id)"), "1");
        assert_eq!(session.one("SELECT getvariable('v')"), "5");
        assert_eq!(session.one("SELECT current_setting('default_order')"), "DESC");
        assert_eq!(session.one("EXECUTE p(10)"), "10");
        assert_eq!(session.one("SELECT current_catalog()"), "sales");
        assert_eq!(labelled(used, "SELECT x FROM t").unwrap(), ("7".to_owned(), as_of));
        let answer = session.0.execute(kept.id, None, true).unwrap().next().unwrap().unwrap();
        assert_eq!(crate::support::text(&answer)[0][0], rows);
        let mut new = database.session();
        assert_eq!(labelled(&mut new, "SELECT count(*) FROM orders").unwrap(), (rows.to_owned(), as_of));
    };
    check(&mut session, &mut used, "1000", Some(as_of));
    // Nothing of it can be written.
    assert!(matches!(session.try_run("INSERT INTO orders VALUES (1)"), Err(EngineError::ReadOnly { .. })));
    session.run("BEGIN");
    assert_eq!(session.one("SELECT count(*) FROM orders"), "1000");
    assert!(matches!(session.try_run("INSERT INTO orders VALUES (1)"), Err(EngineError::ReadOnly { .. })));
    session.run("ROLLBACK");
    // The file is not taken back from whoever has it; then it is.
    assert!(matches!(database.engine.attach(Access::ReadWrite), Err(EngineError::Locked { .. })));
    check(&mut session, &mut used, "1000", Some(as_of));
    foreign.ask("close", "").unwrap();
    database.engine.attach(Access::ReadWrite).unwrap();
    assert_eq!(database.engine.snapshot(), None);
    check(&mut session, &mut used, "1500", None);
    session.run("INSERT INTO orders VALUES (1)");
    database.engine.verify(true).unwrap();
    foreign.kept_out(&database.path, "the file was taken back");
    // A snapshot that nobody reads any more goes without the file.
    stand_in(&database);
    database.engine.release().unwrap();
    assert_eq!(database.engine.snapshot(), None);
    foreign.ask("open", database.path.to_str().unwrap()).expect("the file is let go");
    assert_eq!(foreign.ask("sql", "SELECT count(*) FROM orders").unwrap(), "[[\"1501\"]]");
}

#[test]
fn whoever_has_begun_to_read_the_file_goes_on_with_it() {
    let database = Database::new("sales.duckdb");
    let mut session = database.session();
    session.run("CREATE TABLE orders AS SELECT range AS id FROM range(1000000)");
    let (mut streams, mut reads) = (database.session(), database.session());
    let prepared = streams.0.prepare("SELECT id FROM orders").unwrap();
    reads.run("BEGIN");
    assert_eq!(reads.one("SELECT count(*) FROM orders"), "1000000");
    let mut rows = streams.0.execute(prepared.id, None, false).unwrap();
    let mut seen = rows.next().unwrap().unwrap().num_rows();
    let as_of = stand_in(&database);
    assert!(database.engine.has_file_open(), "two read it");
    let mut foreign = Foreign::start();
    foreign.kept_out(&database.path, "a copy stands in, and the file is read");
    assert_eq!(labelled(&mut session, "SELECT count(*) FROM orders").unwrap().1, Some(as_of));
    assert_eq!(labelled(&mut reads, "SELECT count(*) FROM orders").unwrap(), ("1000000".to_owned(), None));
    while let Some(batch) = rows.next().unwrap() {
        seen += batch.num_rows();
    }
    drop(rows);
    assert_eq!(seen, 1_000_000);
    assert!(database.engine.has_file_open(), "one reads it");
    reads.run("COMMIT");
    assert!(!database.engine.has_file_open());
    assert_eq!(labelled(&mut reads, "SELECT count(*) FROM orders").unwrap().1, Some(as_of));
    foreign.ask("open", database.path.to_str().unwrap()).err(); // 1.x cannot read it, and must not be locked out
    assert!(dbmux_os::holders::holders_of(&database.path).unwrap().iter().all(|holder| !holder.mine));
}

#[test]
fn no_statement_reaches_the_copy_but_by_its_tables() {
    let database = Database::new("sales.duckdb");
    let mut session = database.session();
    session.run("CREATE TABLE orders AS SELECT range AS id FROM range(10)");
    database.engine.settle().unwrap();
    let copy = copy(&database);
    let inode = copy.metadata().unwrap().ino();
    database.engine.stand_in(copy, SystemTime::now()).unwrap();
    let open: Vec<_> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| Some(entry.ok()?.file_name().into_string().unwrap()))
        .filter(|fd| std::fs::metadata(format!("/proc/self/fd/{fd}")).is_ok_and(|found| found.ino() == inode))
        .collect();
    assert_eq!(open.len(), 1, "DuckDB's own");
    for path in [format!("/proc/{}/fd/{}", std::process::id(), open[0]), format!("/proc/self/fd/{}", open[0])] {
        session.refused(&format!("COPY (SELECT 1) TO '{path}' (FORMAT csv, USE_TMP_FILE false)"));
        session.refused(&format!("SELECT * FROM read_blob('{path}')"));
        assert!(session.try_run(&format!("ATTACH '{path}' AS again (READ_ONLY)")).is_err());
    }
    session.refused("DETACH sales");
    assert_eq!(session.one("SELECT count(*) FROM orders"), "10");
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn no_read_fails_while_file_and_copy_take_turns() {
    let database = Database::new("sales.duckdb");
    database.session().run("CREATE TABLE orders AS SELECT range AS id FROM range(100000)");
    let (over, redone) = (AtomicBool::new(false), AtomicUsize::new(0));
    let reads = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|number| {
                let (database, over, redone) = (&database, &over, &redone);
                scope.spawn(move || {
                    let mut session = database.session();
                    let statements = [
                        ("SELECT count(*) FROM orders", "100000"),
                        ("SELECT count(*) FROM sales.main.orders o JOIN orders p USING (id)", "100000"),
                        ("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'orders'", "1"),
                    ];
                    let mut done = 0;
                    while !over.load(Ordering::Relaxed) {
                        let (sql, expected) = statements[(number + done) % statements.len()];
                        match session.try_run(sql) {
                            Ok(answer) => assert_eq!(answer[0][0], expected, "{sql}"),
                            // The broker does it once more.
                            Err(EngineError::Conflict { .. }) => drop(redone.fetch_add(1, Ordering::Relaxed)),
                            Err(error) => panic!("{sql}: {error:?}"),
                        }
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        // Whatever happens here, the readers end.
        let turns_over = Over(&over);
        for turn in 0..40 {
            stand_in(&database);
            let deadline = std::time::Instant::now() + Duration::from_secs(10);
            while database.engine.has_file_open() {
                assert!(std::time::Instant::now() < deadline, "turn {turn}: somebody still has the file");
                std::thread::yield_now();
            }
            database.engine.attach(Access::ReadWrite).unwrap();
        }
        drop(turns_over);
        readers.into_iter().map(|reader| reader.join().unwrap()).sum::<usize>()
    });
    println!("{reads} reads, of which {} were redone", redone.into_inner());
    assert!(reads > 40);
    database.session().run("INSERT INTO orders VALUES (1)");
    database.engine.verify(true).unwrap();
}

/// Whoever has used the one, and comes upon the other, has begun a transaction there before DuckDB finds that the name is
/// taken: it has to be ended there too, before that one is closed.
#[test]
fn a_transaction_that_came_upon_both_ends_in_both() {
    let database = Database::new("sales.duckdb");
    let mut session = database.session();
    session.run("CREATE TABLE orders AS SELECT range AS id FROM range(1000)");
    let all = "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'orders'";
    for _ in 0..20 {
        // First the file, then a copy, which the file replaces.
        session.run("BEGIN");
        assert_eq!(session.one("SELECT count(*) FROM orders"), "1000");
        stand_in(&database);
        assert!(matches!(session.try_run(all), Err(EngineError::Conflict { .. })));
        assert!(database.engine.has_file_open(), "the transaction has it");
        session.run("ROLLBACK");
        assert!(!database.engine.has_file_open());
        database.engine.attach(Access::ReadWrite).unwrap();
        assert_eq!(session.one(all), "1");
        // First a copy, then the file, which another copy replaces.
        stand_in(&database);
        session.run("BEGIN");
        assert_eq!(session.one("SELECT count(*) FROM orders"), "1000");
        database.engine.attach(Access::ReadWrite).unwrap();
        assert!(matches!(session.try_run(all), Err(EngineError::Conflict { .. })));
        stand_in(&database);
        assert!(database.engine.has_file_open(), "the failed transaction has begun in it");
        session.run("ROLLBACK");
        assert!(!database.engine.has_file_open());
        assert_eq!(session.one(all), "1");
        database.engine.attach(Access::ReadWrite).unwrap();
    }
    let open = crate::support::open_files(database.path.parent().unwrap());
    assert_eq!(open, std::slice::from_ref(&database.path), "no copy is open any more");
}

#[test]
fn a_copy_that_is_none_leaves_the_file_in_its_place() {
    let database = Database::new("sales.duckdb");
    let mut session = database.session();
    session.run("CREATE TABLE orders AS SELECT 1 AS id");
    let broken = tempfile::tempfile().unwrap();
    assert!(database.engine.stand_in(broken, SystemTime::now()).is_err());
    assert_eq!((database.engine.snapshot(), database.engine.has_file_open()), (None, true));
    assert_eq!(labelled(&mut session, "SELECT id FROM orders").unwrap(), ("1".to_owned(), None));
    session.run("INSERT INTO orders VALUES (2)");
    database.engine.verify(true).unwrap();
}

#[test]
fn what_is_not_committed_is_not_in_the_copy() {
    let database = Database::new("sales.duckdb");
    let (mut writes, mut reads) = (database.session(), database.session());
    writes.run("CREATE TABLE orders AS SELECT 1 AS id");
    writes.run("BEGIN");
    writes.run("INSERT INTO orders VALUES (2)");
    stand_in(&database);
    assert_eq!(reads.one("SELECT count(*) FROM orders"), "1");
    assert!(database.engine.has_file_open(), "the transaction has it");
    writes.run("COMMIT");
    assert!(!database.engine.has_file_open());
    assert_eq!(reads.one("SELECT count(*) FROM orders"), "1");
    database.engine.attach(Access::ReadWrite).unwrap();
    assert_eq!(reads.one("SELECT count(*) FROM orders"), "2");
}

/// Whatever it looks at first, and when.
#[test]
fn a_transaction_that_begins_on_a_copy_means_it_to_its_end() {
    let database = Database::new("sales.duckdb");
    let (mut session, mut other) = (database.session(), database.session());
    session.run("CREATE TABLE orders AS SELECT 1 AS id");
    stand_in(&database);
    session.run("BEGIN");
    assert!(!session.0.state().in_file);
    database.engine.attach(Access::ReadWrite).unwrap();
    other.run("INSERT INTO orders VALUES (2)");
    assert!(matches!(session.try_run("INSERT INTO orders VALUES (3)"), Err(EngineError::ReadOnly { .. })));
    session.run("ROLLBACK");

    stand_in(&database);
    session.run("BEGIN");
    database.engine.attach(Access::ReadWrite).unwrap();
    other.run("INSERT INTO orders VALUES (4)");
    let (count, as_of) = labelled(&mut session, "SELECT count(*) FROM orders").unwrap();
    assert_eq!((count.as_str(), as_of.is_some()), ("2", true));
    assert!(!session.0.state().in_file, "nor does it keep the file");
    for _ in 0..20 {
        stand_in(&database);
        assert!(!database.engine.has_file_open());
        database.engine.attach(Access::ReadWrite).unwrap();
    }
    assert_eq!(labelled(&mut session, "SELECT count(*) FROM orders").unwrap(), (count, as_of));
    session.run("COMMIT");

    // One that has begun on the file is in the file, and one that comes upon it as well.
    session.run("BEGIN");
    assert!(session.0.state().in_file);
    session.run("ROLLBACK");
    stand_in(&database);
    session.run("BEGIN");
    database.engine.attach(Access::ReadWrite).unwrap();
    // Also where a text is bound: it could read the one under the other's label from then on.
    assert!(matches!(session.try_run("SELECT * FROM no_such_table"), Err(EngineError::Conflict { .. })));
    let state = session.0.state();
    assert!(state.in_file && state.transaction_failed, "{state:?}");
    session.run("ROLLBACK");
    stand_in(&database);
    session.run("BEGIN");
    database.engine.attach(Access::ReadWrite).unwrap();
    let all = "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'orders'";
    assert!(matches!(session.try_run(all), Err(EngineError::Conflict { .. })));
    assert!(session.0.state().in_file);
    stand_in(&database);
    // DuckDB opens no file twice: the file is not to be had yet.
    assert!(matches!(database.engine.attach(Access::ReadWrite), Err(EngineError::Locked { .. })));
    session.run("ROLLBACK");
    assert!(!session.0.state().in_file);
    database.engine.attach(Access::ReadWrite).unwrap();
    assert_eq!(session.one(all), "1");
}
