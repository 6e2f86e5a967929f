//! Beside foreign programs: Python's own SQLite, in processes of its own, on the same file.
#![expect(clippy::expect_used, clippy::panic, reason = "a test's own way to fail")]

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use common::{Place, Session};
use dbmux_engine::{Access, Engine, EngineError, SessionOptions};
use dbmux_os::holders::holders_of;
use dbmux_sqlite::{SqliteEngine, SqliteOptions};

/// A Python that speaks by lines; ended when it is dropped.
struct Python {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Python {
    fn start(place: &std::path::Path, script: &str) -> Self {
        let mut child = Command::new("python3")
            .args(["-u", "-c", &format!("import sqlite3, sys, time, os\np = sys.argv[1]\n{script}")])
            .arg(place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let out = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    /// Lets it go on.
    fn go(&mut self) {
        writeln!(self.child.stdin.as_mut().expect("its input")).expect("it listens");
    }

    fn end(mut self) {
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn insert(session: &mut Session, number: i64) -> Result<(), EngineError> {
    let batch = RecordBatch::try_from_iter([("1", Arc::new(Int64Array::from(vec![number])) as ArrayRef)]).expect("one");
    session.one("INSERT INTO t VALUES (?)", Some(&batch), false).map(drop)
}

const WRITER: &str = "
c = sqlite3.connect(p, timeout=30, isolation_level=None)
print('open')
end, n = time.time() + 3, 0
while time.time() < end:
    n += 1
    c.execute('INSERT INTO t VALUES (?)', (-n - 1000000 * int(os.getpid()),))
print(n)
";

#[test]
fn foreign_writers_beside_us_lose_nothing_and_neither_do_we() {
    let place = Place::new();
    place.session().run("CREATE TABLE t (a INTEGER PRIMARY KEY)");
    let mut foreign: Vec<_> = (0..2).map(|_| Python::start(&place.path, WRITER)).collect();
    for python in &mut foreign {
        assert_eq!(python.line(), "open");
    }
    let mut session = place.session();
    let (mut written, mut locked) = (0, 0);
    let end = Instant::now() + Duration::from_millis(2500);
    while Instant::now() < end {
        match insert(&mut session, written + 1) {
            Ok(()) => written += 1,
            Err(EngineError::Locked { .. }) => locked += 1,
            Err(error) => panic!("{error:?}"),
        }
        // Released and attached in between, as the broker does.
        if written % 50 == 0 {
            place.engine.release().expect("released");
            place.engine.attach(Access::ReadWrite).expect("attached");
        }
    }
    let theirs: i64 = foreign.iter_mut().map(|python| python.line().parse::<i64>().expect("a number")).sum();
    foreign.into_iter().for_each(Python::end);
    eprintln!("ours {written}, locked {locked}, theirs {theirs}");
    assert!(written > 10 && theirs > 10);
    assert_eq!(session.text("SELECT count(*) FROM t WHERE a > 0"), written.to_string());
    assert_eq!(session.text("SELECT count(*) FROM t WHERE a < 0"), theirs.to_string());
    assert_eq!(session.text("PRAGMA integrity_check"), "ok");
}

#[test]
fn a_foreign_lock_is_locked_and_a_transaction_that_is_too_late_a_conflict() {
    let place = Place::new();
    place.session().run("CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (0)");
    let mut session = place.session();
    let mut python = Python::start(
        &place.path,
        "c = sqlite3.connect(p, isolation_level=None)\nc.execute('BEGIN IMMEDIATE')\nc.execute('INSERT INTO t VALUES (100)')\n\
         print('locked')\nsys.stdin.readline()\nc.execute('COMMIT')\nprint('done')\nsys.stdin.readline()",
    );
    assert_eq!(python.line(), "locked");
    session.run("BEGIN");
    assert_eq!(session.text("SELECT count(*) FROM t"), "1");
    let mut other = place.session();
    assert!(matches!(insert(&mut other, 1), Err(EngineError::Locked { .. })));
    assert!(matches!(other.error("BEGIN IMMEDIATE"), EngineError::Locked { .. }));
    let shape = place.engine.insert_shape("INSERT INTO t VALUES (2)").expect("a plain insert");
    let refused = other.0.insert_many(&shape, &[("INSERT INTO t VALUES (2)", None)]);
    assert!(matches!(refused, Err(EngineError::Locked { .. })), "{refused:?}");
    assert!(!other.0.state().in_transaction);
    python.go();
    assert_eq!(python.line(), "done");
    // The transaction read what was before.
    assert_eq!(session.text("SELECT count(*) FROM t"), "1");
    assert!(matches!(session.error("INSERT INTO t VALUES (3)"), EngineError::Conflict { .. }));
    session.run("ROLLBACK; INSERT INTO t VALUES (3)");
    insert(&mut other, 1).expect("it is free");
    assert_eq!(session.text("SELECT group_concat(a) FROM (SELECT a FROM t ORDER BY a)"), "0,1,3,100");
    python.go();
    python.end();
}

#[test]
fn a_foreign_reader_keeps_the_log_and_nothing_else() {
    let place = Place::new();
    place.session().run("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    let mut python = Python::start(
        &place.path,
        "c = sqlite3.connect(p, isolation_level=None)\nc.execute('BEGIN')\nprint(c.execute('SELECT count(*) FROM t').fetchone()[0])\n\
         sys.stdin.readline()\nprint(c.execute('SELECT count(*) FROM t').fetchone()[0])\nc.close()\nprint('closed')",
    );
    assert_eq!(python.line(), "1");
    let mut session = place.session();
    session.run("INSERT INTO t VALUES (2); INSERT INTO t VALUES (3)");
    assert!(matches!(place.engine.settle(), Err(EngineError::Conflict { .. })));
    place.engine.release().expect("released all the same");
    assert!(!place.engine.has_file_open());
    assert!(place.beside("-wal").exists());
    python.go();
    assert_eq!(python.line(), "1");
    assert_eq!(python.line(), "closed");
    python.end();
    place.engine.attach(Access::ReadWrite).expect("attached");
    place.engine.settle().expect("nobody reads");
    assert_eq!(std::fs::metadata(place.beside("-wal")).expect("the log").len(), 0);
    assert_eq!(session.text("SELECT count(*) FROM t"), "3");
}

#[test]
fn a_released_file_can_be_copied_moved_and_replaced() {
    let place = Place::new();
    let mut session = place.session();
    session.run("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    let kept = place.folder.path().join("kept.sqlite");
    place.engine.release().expect("released");
    std::fs::copy(&place.path, &kept).expect("a copy of the file alone");
    place.engine.attach(Access::ReadWrite).expect("attached");
    session.run("INSERT INTO t VALUES (2)");
    place.engine.release().expect("released");
    std::fs::rename(&kept, &place.path).expect("replaced");
    place.engine.attach(Access::ReadWrite).expect("attached");
    assert_eq!(session.text("SELECT count(*) FROM t"), "1");
    // Replaced while it is attached: that is seen.
    std::fs::copy(&place.path, &kept).expect("a copy");
    std::fs::rename(&kept, &place.path).expect("replaced");
    assert!(matches!(place.engine.verify(false), Err(EngineError::FileLost { .. })));
    std::fs::remove_file(&place.path).expect("removed");
    assert!(matches!(place.engine.verify(false), Err(EngineError::FileLost { .. })));
}

#[test]
fn a_file_that_is_not_in_wal_mode_and_in_use_works_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().canonicalize().expect("it").join("b.sqlite");
    let mut python = Python::start(
        &path,
        "c = sqlite3.connect(p, isolation_level=None)\nc.execute('CREATE TABLE t (a)')\nc.execute('BEGIN')\n\
         c.execute('SELECT * FROM t').fetchall()\nprint('reads')\nsys.stdin.readline()\nc.execute('COMMIT')\nprint('free')\n\
         sys.stdin.readline()\nprint(c.execute('SELECT count(*) FROM t').fetchone()[0])",
    );
    assert_eq!(python.line(), "reads");
    let engine = SqliteEngine::new(&path, SqliteOptions::default());
    engine.attach(Access::ReadWrite).expect("attached");
    let mut session = Session(engine.open_session(&SessionOptions::default()).expect("a session"));
    assert_eq!(session.text("PRAGMA journal_mode"), "delete");
    assert_eq!(session.text("SELECT count(*) FROM t"), "0");
    // A reader keeps a commit waiting, in that mode.
    assert!(matches!(session.error("INSERT INTO t VALUES (1)"), EngineError::Locked { .. }));
    assert!(!session.0.state().in_transaction);
    python.go();
    assert_eq!(python.line(), "free");
    session.run("INSERT INTO t VALUES (1)");
    python.go();
    assert_eq!(python.line(), "1");
    python.end();
    engine.release().expect("released");
    engine.attach(Access::ReadWrite).expect("attached");
    assert_eq!(session.text("PRAGMA journal_mode"), "wal");
}

#[test]
fn a_copy_stands_in_while_a_foreign_program_writes() {
    let place = Place::new();
    let (mut session, mut slow) = (place.session(), place.session());
    session.run(
        "CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TEMP TABLE mine AS SELECT 7 AS x",
    );
    slow.run("BEGIN");
    assert_eq!(slow.text("SELECT count(*) FROM t"), "1");
    let before = SystemTime::now();
    let as_of = place.engine.stand_in_by_itself().expect("a copy");
    assert!(as_of >= before && as_of <= SystemTime::now());
    assert_eq!(place.engine.snapshot(), Some(as_of));
    assert!(place.engine.attachment().is_none());
    // A transaction goes on with the file, and then closes it.
    assert!(place.engine.has_file_open());
    slow.run("COMMIT");
    assert!(!place.engine.has_file_open());
    assert!(!place.beside("-wal").exists());
    let mut python = Python::start(
        &place.path,
        "c = sqlite3.connect(p, isolation_level=None)\nc.execute('PRAGMA locking_mode = EXCLUSIVE')\nc.execute('BEGIN')\n\
         c.executemany('INSERT INTO t VALUES (?)', [(n,) for n in range(2, 2000)])\nc.execute('COMMIT')\nprint('wrote')\nsys.stdin.readline()\n\
         c.close()\nprint('closed')",
    );
    assert_eq!(python.line(), "wrote");
    assert_eq!(session.text("SELECT count(*), (SELECT x FROM mine) FROM t"), "1|7");
    assert_eq!(slow.text("SELECT count(*) FROM t"), "1");
    let prepared = session.0.prepare("SELECT count(*) FROM t").expect("it reads");
    let rows = session.0.execute(prepared.id, None, false).expect("rows");
    assert_eq!(rows.as_of(), Some(as_of));
    drop(rows);
    assert!(matches!(session.error("INSERT INTO t VALUES (0)"), EngineError::ReadOnly { .. }));
    session.run("INSERT INTO mine VALUES (8)");
    // Their lock is in the way; the copy answers on.
    assert!(matches!(place.engine.attach(Access::ReadWrite), Err(EngineError::Locked { .. })));
    assert_eq!(session.text("SELECT count(*) FROM t"), "1");
    python.go();
    assert_eq!(python.line(), "closed");
    python.end();
    place.engine.attach(Access::ReadWrite).expect("attached");
    assert_eq!(place.engine.snapshot(), None);
    assert_eq!(session.text("SELECT count(*), (SELECT sum(x) FROM mine) FROM t"), "1999|15");
    session.run("INSERT INTO t VALUES (0)");
    drop((session, slow));
    place.engine.release().expect("released");
    assert!(!place.beside(".tmp").exists(), "the copy is gone, and its folder");
}

#[test]
fn a_copy_is_of_one_moment_while_others_write() {
    let place = Place::new();
    place.session().run(
        "CREATE TABLE t (a INTEGER PRIMARY KEY); CREATE TABLE filler (x); \
         INSERT INTO filler SELECT randomblob(4000) FROM (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n \
         WHERE x < 3000) SELECT x FROM n)",
    );
    // Rows in pairs, in one transaction each: a copy of two moments would have an odd number.
    let mut python = Python::start(
        &place.path,
        "c = sqlite3.connect(p, timeout=30, isolation_level=None)\nprint('open')\nn = 0\nend = time.time() + 2\n\
         while time.time() < end:\n  n += 2\n  c.execute('BEGIN IMMEDIATE')\n  c.execute('INSERT INTO t VALUES (?)', (n,))\n  \
         c.execute('INSERT INTO t VALUES (?)', (n + 1,))\n  c.execute('COMMIT')\nprint(n)",
    );
    assert_eq!(python.line(), "open");
    let mut session = place.session();
    let mut last = 0;
    for _ in 0..4 {
        place.engine.stand_in_by_itself().expect("a copy");
        let rows: i64 = session.text("SELECT count(*) FROM t").parse().expect("a number");
        assert!(rows % 2 == 0 && rows >= last, "{rows} after {last}");
        assert_eq!(session.text("PRAGMA integrity_check"), "ok");
        last = rows;
        place.engine.attach(Access::ReadWrite).expect("attached");
    }
    let theirs = python.line();
    python.end();
    assert_eq!(session.text("SELECT count(*) FROM t"), theirs);
}

/// Lets the others end, whatever happens.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn the_log_stays_until_the_file_is_released() {
    let place = Place::new();
    // The first to attach has made the file, and changed its mode; the next ones find it so.
    for attached in ["first", "next"] {
        place.session().run("CREATE TABLE IF NOT EXISTS t (a); INSERT INTO t VALUES (1)");
        assert!(place.beside("-wal").exists(), "a session took the log along, {attached}");
        place.engine.release().expect("released");
        assert!(!place.beside("-wal").exists(), "the log was left, {attached}");
        place.engine.attach(Access::ReadWrite).expect("attached");
    }
}

#[test]
fn no_read_fails_while_the_file_and_copies_of_it_take_turns() {
    let place = Place::new();
    place.session().run("CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
    let done = AtomicBool::new(false);
    let (mut reads, mut copies) = (0, 0);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|number| {
                let (mut session, done) = (place.session(), &done);
                scope.spawn(move || {
                    session.run("CREATE TEMP TABLE mine (a); INSERT INTO mine VALUES (7)");
                    let mut reads = 0;
                    while !done.load(Ordering::Relaxed) {
                        let sql = match number {
                            // One opens its connection anew each time.
                            0 => "SELECT count(*) % 2 = 0, 7 FROM t",
                            1 => "BEGIN; SELECT count(*) FROM t; SELECT count(*) % 2 = 0, (SELECT a FROM mine) FROM t",
                            _ => "SELECT count(*) % 2 = 0, (SELECT a FROM mine) FROM t",
                        };
                        assert_eq!(session.text(sql), "1|7");
                        if number == 1 {
                            session.run("COMMIT");
                        }
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();
        let _ends = Ends(&done);
        let end = Instant::now() + Duration::from_secs(2);
        let mut writer = place.session();
        while Instant::now() < end {
            writer.run("BEGIN IMMEDIATE; INSERT INTO t DEFAULT VALUES; INSERT INTO t DEFAULT VALUES; COMMIT");
            place.engine.stand_in_by_itself().expect("a copy");
            // Who had begun before ends, and then nobody has the file.
            let deadline = Instant::now() + Duration::from_secs(10);
            while place.engine.has_file_open() {
                assert!(Instant::now() < deadline, "somebody keeps the file");
                std::thread::yield_now();
            }
            assert!(holders_of(&place.path).expect("a look").is_empty());
            assert!(!place.beside("-wal").exists());
            place.engine.attach(Access::ReadWrite).expect("attached");
            copies += 1;
        }
        done.store(true, Ordering::Relaxed);
        reads = readers.into_iter().map(|reader| reader.join().expect("it reads")).sum::<i32>();
    });
    eprintln!("{reads} reads beside {copies} copies");
    assert!(reads > 20 && copies > 3);
    assert_eq!(place.session().text("PRAGMA integrity_check"), "ok");
}

#[test]
fn our_locks_hold_whatever_a_client_reads() {
    // SQLite's locks are POSIX: had anything here opened and closed the file, a foreign program could begin to write.
    let place = Place::new();
    let mut session = place.session();
    session.run("CREATE TABLE t (a); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)");
    let mut other = place.session();
    place.engine.verify(true).expect("it is there");
    assert_eq!(other.text("SELECT count(*) FROM t; PRAGMA database_list; SELECT 1"), "1");
    other.error("ATTACH 'a.sqlite' AS x");
    other.error(&format!("ATTACH '{}' AS x", place.path.display()));
    other.error(&format!("VACUUM INTO '{}'", place.path.display()));
    drop(other);
    let script = "c = sqlite3.connect(p, timeout=0.1, isolation_level=None)\ntry:\n  c.execute('BEGIN IMMEDIATE')\n  print('in')\n\
                  except sqlite3.OperationalError as e:\n  print(e)";
    let mut python = Python::start(&place.path, script);
    assert_eq!(python.line(), "database is locked");
    python.end();
    session.run("COMMIT");
    let mut python = Python::start(&place.path, script);
    assert_eq!(python.line(), "in");
    python.end();
}

#[test]
fn the_sqlite3_shell_reads_and_writes_beside_us() {
    let place = Place::new();
    let mut session = place.session();
    session.run("CREATE TABLE t (a INTEGER PRIMARY KEY)");
    let path = place.path.clone();
    let shell = std::thread::spawn(move || {
        let mut told = Vec::new();
        for number in 1..=20 {
            let sql = format!("INSERT INTO t VALUES ({}); SELECT count(*) > 0 FROM t WHERE a > 0;", -number);
            let ran = Command::new("sqlite3").arg(&path).args([".timeout 20000", &sql]).output();
            match ran {
                Ok(ran) => told.push(
                    String::from_utf8_lossy(&ran.stdout).trim().to_owned() + &String::from_utf8_lossy(&ran.stderr),
                ),
                // Not everywhere is one.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
                Err(error) => panic!("{error}"),
            }
        }
        Some(told)
    });
    let mut written = 0;
    while !shell.is_finished() {
        match insert(&mut session, written + 1) {
            Ok(()) => written += 1,
            Err(EngineError::Locked { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
        // SQLite has no line: who tries without a pause keeps those out who look now and then.
        std::thread::sleep(Duration::from_millis(10));
    }
    let Some(told) = shell.join().expect("it ends") else { return };
    assert_eq!(told.last().map(String::as_str), Some("1"), "{told:?}");
    assert!(told.iter().all(|line| line == "1" || line == "0"), "{told:?}");
    assert_eq!(session.text("SELECT count(*) FROM t WHERE a < 0"), "20");
    assert_eq!(session.text("SELECT count(*) FROM t WHERE a > 0"), written.to_string());
    // And the whole database is in the file it opens when we are gone.
    place.engine.release().expect("released");
    let ran = Command::new("sqlite3").arg(&place.path).arg("PRAGMA integrity_check; SELECT count(*) FROM t").output();
    let ran = ran.expect("the shell");
    assert_eq!(String::from_utf8_lossy(&ran.stdout), format!("ok\n{}\n", written + 20));
}
