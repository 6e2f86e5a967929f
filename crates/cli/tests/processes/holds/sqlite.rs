//! What is SQLite's own: how its locks are named, who is in its copies' way, and when a file is one of its.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dbmux_client::{ClientOptions, ErrorCode, Statement};
use dbmux_testkit::{Place, python};

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

/// A foreign program with SQLite.
fn foreign(place: &Place, script: &str) -> Child {
    let mut command = Command::new(python());
    command.args(["-u", "-c", script]).current_dir(place.path("")).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("Python runs")
}

fn output(child: Child) -> String {
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_file_is_what_it_is_and_a_new_one_what_its_name_or_the_wish_says() {
    let place = place();
    place.sql("a.sqlite", "create table t (i integer primary key, s text); insert into t values (1, 'a'), (2, null)");
    assert_eq!(place.sql("a.sqlite", "select * from t order by i"), "1,a\n2,");
    assert_eq!(place.status("a.sqlite")["engine"], "sqlite");
    place.run(["stop", "a.sqlite"]);
    let magic = std::fs::read(place.path("a.sqlite")).expect("the file");
    assert!(magic.starts_with(b"SQLite format 3\0"));
    // Whatever it is called.
    std::fs::rename(place.path("a.sqlite"), place.path("b.duckdb")).expect("it is closed");
    assert_eq!(place.sql("b.duckdb", "select count(*) from t"), "2");
    let (code, error) = place.fails(&["sql", "b.duckdb", "select 1", "--engine", "duckdb"]);
    assert_eq!((code, error["code"].as_str()), (1, Some("INVALID_ARGUMENT")), "{error}");
    let said = error["message"].as_str().expect("a message").to_lowercase();
    assert!(said.contains("sqlite") && said.contains("duckdb"), "{error}");
    let made = place.run(["sql", "c.db", "create table t (i)", "--engine", "sqlite"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(std::fs::read(place.path("c.db")).expect("the file").starts_with(b"SQLite"));
    let (code, error) = place.fails(&["sql", "d.duckdb", "select 1", "--engine", "sqlite"]);
    assert_eq!((code, error["code"].as_str()), (1, Some("INVALID_ARGUMENT")), "{error}");
    assert!(!place.path("d.duckdb").exists());
    // Its own errors, typed.
    place.sql("b.duckdb", "create unique index u on t (s)");
    let (code, error) = place.fails(&["sql", "b.duckdb", "insert into t values (3, 'a')"]);
    assert_eq!((code, error["sqlstate"].as_str()), (1, Some("23505")), "{error}");
}

#[test]
fn who_waits_is_told_for_whom_and_for_which_lock() {
    let place = place().with("DBMUX_IDLE_TRANSACTION", "2s");
    place.sql("a.sqlite", "create table t (i integer)");
    let script = "
import sqlite3, sys
c = sqlite3.connect('a.sqlite', isolation_level=None)
c.execute('begin immediate'); c.execute('insert into t values (1)')
print('has it', flush=True)
sys.stdin.readline()
c.execute('commit')
";
    let mut command = Command::new(python());
    command.args(["-u", "-c", script]).current_dir(place.path("")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut other = command.spawn().expect("Python runs");
    let mut line = String::new();
    let mut said = std::io::BufReader::new(other.stdout.take().expect("its output"));
    std::io::BufRead::read_line(&mut said, &mut line).expect("it has the lock");
    assert_eq!(place.sql("a.sqlite", "select count(*) from t"), "0", "reads go on");
    for wait in ["0", "1s"] {
        let (code, error) = place.fails(&["sql", "a.sqlite", "insert into t values (2)", "--wait", wait]);
        assert_eq!((code, error["code"].as_str()), (75, Some("DATABASE_LOCKED")), "{error}");
        assert_eq!(error["holder"]["pid"], other.id(), "{error}");
        assert_eq!(error["holder"]["lock"], "writer of the WAL", "{error}");
    }
    let waits = place.dbmux(["sql", "a.sqlite", "insert into t values (3)"]).spawn().expect("it starts");
    drop(other.stdin.take());
    assert!(other.wait().expect("its end").success());
    assert!(waits.wait_with_output().expect("its end").status.success());
    assert_eq!(place.sql("a.sqlite", "select count(*) from t"), "2");
    // The same of two sessions of ours: the second stands in line, and an idle transaction does not keep it for ever.
    let client = place.blocking_client("a.sqlite", ClientOptions::default());
    let (idle, session) = (client.session().expect("a session"), client.session().expect("a session"));
    idle.execute("begin").expect("it begins");
    idle.execute("insert into t values (4)").expect("it writes");
    let (code, error) = place.fails(&["sql", "a.sqlite", "update t set i = 0", "--wait", "500ms"]);
    assert_eq!((code, error["code"].as_str()), (75, Some("DEADLINE_EXCEEDED")), "{error}");
    assert_eq!(error["holder"]["pid"], std::process::id(), "{error}");
    let began = Instant::now();
    session.execute("update t set i = 9").expect("its turn comes");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert_eq!(idle.execute("commit").expect_err("it was ended").code(), ErrorCode::IdleTimeout);
    assert_eq!(place.sql("a.sqlite", "select count(*), sum(i) from t"), "2,18");
}

#[test]
fn a_copy_for_keeping_is_of_one_moment_beside_foreign_writers() {
    let place = place();
    place.sql(
        "a.sqlite",
        "create table a (x integer); insert into a values (1000); create table b (x integer); insert into b values (0)",
    );
    let script = "
import sqlite3, time
c = sqlite3.connect('a.sqlite', timeout=30, isolation_level=None)
end = time.time() + 3
while time.time() < end:
    c.execute('begin immediate'); c.execute('update a set x = x - 1'); c.execute('update b set x = x + 1'); c.execute('commit')
";
    let writer = foreign(&place, script);
    for turn in 0..5 {
        let target = format!("kept{turn}.sqlite");
        let kept = place.run(["snapshot", "a.sqlite", &target]);
        assert!(kept.status.success(), "{}", String::from_utf8_lossy(&kept.stderr));
        assert_eq!(place.sql(&target, "select (select x from a) + (select x from b)"), "1000");
    }
    output(writer);
}

#[test]
fn a_foreign_reader_is_in_no_copys_way() {
    let place = place();
    place.sql("a.sqlite", "create table t (i integer); insert into t values (1)");
    let script = "
import sqlite3, sys
c = sqlite3.connect('a.sqlite', isolation_level=None)
c.execute('begin'); c.execute('select * from t').fetchall()
print('reads', flush=True)
sys.stdin.readline()
";
    let mut command = Command::new(python());
    command.args(["-u", "-c", script]).current_dir(place.path("")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut reader = command.spawn().expect("Python runs");
    let mut line = String::new();
    let mut said = std::io::BufReader::new(reader.stdout.take().expect("its output"));
    std::io::BufRead::read_line(&mut said, &mut line).expect("it reads");
    // It keeps the log from being brought into the file.
    place.sql("a.sqlite", "insert into t values (2)");
    let kept = place.run(["snapshot", "a.sqlite", "kept.sqlite", "--wait", "3s"]);
    assert!(kept.status.success(), "{}", String::from_utf8_lossy(&kept.stderr));
    assert_eq!(place.sql("kept.sqlite", "select count(*) from t"), "2");
    drop(reader.stdin.take());
    assert!(reader.wait().expect("its end").success());
}

/// A statement is given many rows: all of them are in, or none; an engine that cannot do that says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_takes_the_rows_of_a_batch() -> Result<(), dbmux_client::ClientError> {
    let rows = |keys: Vec<i64>| {
        let keys: arrow::array::ArrayRef = std::sync::Arc::new(arrow::array::Int64Array::from(keys));
        let rows = arrow::array::RecordBatch::try_from_iter([("1", keys)]).expect("one column");
        Statement::new("insert into t values (?)").rows(rows)
    };
    let place = place();
    for database in ["a.sqlite", "b.duckdb"] {
        place.sql(database, "create table t (i bigint primary key)");
        let session = place.client(database, ClientOptions::default()).session().await?;
        if database == "b.duckdb" {
            let refused = session.execute(rows(vec![1, 2])).await.expect_err("DuckDB takes one");
            assert!(refused.to_string().contains("one row"), "{refused}");
            continue;
        }
        assert_eq!(session.execute(rows(vec![1, 2, 3])).await?, 3);
        let twice = session.execute(rows(vec![4, 1])).await.expect_err("it is there");
        assert_eq!(twice.code(), ErrorCode::Sql, "{twice}");
        assert_eq!(session.execute(rows(vec![])).await?, 0);
        assert_eq!(place.sql(database, "select count(*), max(i) from t"), "3,3");
    }
    Ok(())
}
