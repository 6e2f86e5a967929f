//! Reads go on from a snapshot while another process has the file.

use std::{
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::leased::{Leased, one};
use arrow::{array::AsArray, datatypes::Int64Type};
use dbmux_client::{ClientError, ClientOptions, ErrorCode, blocking::Session};
use dbmux_testkit::{Dice, Place, python, seed, until};
use rustix::process::{Pid, Signal, kill_process};

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

/// Two numbers, and as of when they are true.
fn two(session: &Session, sql: &str) -> Result<((i64, i64), Option<String>), ClientError> {
    let answer = session.query(sql)?;
    let as_of = answer.as_of().map(str::to_owned);
    let batches = answer.collect()?;
    let number = |column: usize| batches[0].column(column).as_primitive::<Int64Type>().value(0);
    Ok(((number(0), number(1)), as_of))
}

/// What lies beside the database.
fn beside(place: &Place) -> Vec<String> {
    let entries = std::fs::read_dir(place.path("")).expect("the folder").filter_map(Result::ok);
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn four_readers_go_on_through_a_lease_and_two_writers_wait() {
    let place = place();
    // An amount goes from one table to the other: every state has the same sum.
    place.make("a.duckdb", "create table a as select 1000::bigint as x; create table b as select 0::bigint as x");
    let client = place.blocking_client("a.duckdb", ClientOptions::default());
    let over = AtomicBool::new(false);
    let reads = Mutex::new(Vec::new());
    let (moved, foreign) = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let session = client.session().expect("a session");
                let mut mine = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let ((sum, b), as_of) = two(
                        &session,
                        "select sum(x)::bigint, (select sum(x) from b)::bigint from (from a union all from b)",
                    )
                    .expect("no read fails");
                    mine.push((began, began.elapsed(), as_of));
                    assert_eq!(sum, 1000, "half of a change was seen, with {b}");
                }
                reads.lock().expect("the list").extend(mine);
            });
        }
        let writers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let session = client.session().expect("a session");
                    let mut moved = 0;
                    while !over.load(Ordering::Relaxed) {
                        let done = session.transaction(|transaction| {
                            transaction.execute("update a set x = x - 1")?;
                            transaction.execute("update b set x = x + 1").map(drop)
                        });
                        match done {
                            Ok(()) => moved += 1,
                            Err(error) => assert_eq!(error.code(), ErrorCode::TransactionConflict, "{error}"),
                        }
                    }
                    moved
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(500));
        let mut leased = Leased::start(&place, &[]);
        let began = Instant::now();
        let mut foreign = 0;
        while began.elapsed() < Duration::from_secs(3) {
            leased.sql("update a set x = x - 1");
            leased.sql("update b set x = x + 1");
            foreign += 1;
        }
        assert_eq!(leased.end(), "");
        std::thread::sleep(Duration::from_millis(500));
        over.store(true, Ordering::Relaxed);
        let moved: i64 = writers.into_iter().map(|writer| writer.join().expect("a writer")).sum();
        (moved, foreign)
    });
    let reads = reads.into_inner().expect("the list");
    let of_copy = reads.iter().filter(|(_, _, as_of)| as_of.is_some()).count();
    let longest = reads.iter().map(|(_, took, _)| *took).max().expect("reads");
    println!(
        "{} reads, {of_copy} from the copy, the longest {longest:?}; {moved} moved here, {foreign} there",
        reads.len()
    );
    assert!(of_copy > 100 && reads.len() > of_copy + 100);
    assert!(longest < Duration::from_secs(1), "a read waited for {longest:?}");
    assert!(moved > 0 && foreign > 0);
    let session = client.session().expect("a session");
    let ((a, b), as_of) = two(&session, "select (select x from a), (select x from b)").expect("an answer");
    assert_eq!((a, b, as_of), (1000 - moved - foreign, moved + foreign, None), "every acknowledged write is there");
}

#[test]
fn who_reads_what_was_before_the_last_change_is_waited_for() {
    let place = place().with("DBMUX_DRAIN", "2s").with("DBMUX_IDLE_TRANSACTION", "1h");
    place.make("a.duckdb", "create table t as select 1 as i");
    let client = place.blocking_client("a.duckdb", ClientOptions::default());
    let reads_only = ClientOptions { read_only: true, ..ClientOptions::default() };
    let old = place.blocking_client("a.duckdb", reads_only).session().expect("a session");
    let session = client.session().expect("a session");
    let read_and_change = || {
        old.execute("begin").expect("it begins");
        one(&old, "select i from t");
        session.execute("update t set i = i + 1").expect("it is changed");
    };
    let writes_wait = || {
        let write = place.run(["sql", "a.duckdb", "insert into t values (0)", "--wait", "100ms"]);
        write.status.code() == Some(75)
    };
    read_and_change();
    std::thread::scope(|scope| {
        let leasing = scope.spawn(|| Leased::start(&place, &[]));
        until("the file is kept still", writes_wait);
        assert_eq!(one(&session, "select max(i) from t"), ("2".to_owned(), None), "reads go on");
        old.execute("commit").expect("it ends");
        let leased = leasing.join().expect("a lease");
        assert!(one(&session, "select max(i) from t").1.is_some(), "a snapshot answers");
        assert_eq!(leased.end(), "");
    });
    // One who does not end is ended at the limit.
    read_and_change();
    let leased = Leased::start(&place, &[]);
    assert!(one(&session, "select max(i) from t").1.is_some(), "a snapshot answers");
    leased.end();
    let ended = old.execute("commit").expect_err("it was ended");
    assert_eq!(ended.code(), ErrorCode::DeadlineExceeded, "{ended}");
}

#[test]
fn answers_say_that_they_are_from_a_snapshot_and_sessions_live_on() {
    let place = place();
    place.make(
        "a.duckdb",
        "create table t as select range as i from range(1000); create schema s; create table s.u as select 7 as x",
    );
    let client = place.blocking_client("a.duckdb", ClientOptions::default());
    let session = client.session().expect("a session");
    for sql in ["create temp table mine as select 5 as i", "set variable v = 9", "set default_order = 'desc'", "use s"]
    {
        session.execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    session.execute("prepare p as select count(*) from a.main.t where i < $1").expect("it is prepared");
    let check = |labelled: bool| {
        for (sql, answer, from_file) in [
            ("select x from u", "7", true),
            ("select count(*) from a.main.t", "1000", true),
            ("select count(*) from mine join a.main.t using (i)", "1", true),
            ("select i from mine", "5", false),
            ("select getvariable('v')", "9", false),
            ("select current_setting('default_order')", "DESC", false),
            ("execute p(10)", "10", true),
        ] {
            let (text, as_of) = one(&session, sql);
            assert_eq!(text.to_uppercase(), answer, "{sql}");
            if from_file {
                assert_eq!(as_of.is_some(), labelled, "{sql}: {as_of:?}");
            }
        }
    };
    check(false);
    let mut leased = Leased::start(&place, &[]);
    check(true);
    // On standard error, for people and for programs.
    let output = place.run(["sql", "a.duckdb", "select count(*) from t"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("note: answered from a snapshot as of 20"), "{error}");
    let output = place.run(["sql", "a.duckdb", "select count(*) as n from t", "--json"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "[{\"n\":1000}]");
    let told: serde_json::Value = serde_json::from_slice(&output.stderr).expect("one object");
    let as_of = told["as_of"].as_str().expect("a time").to_owned();
    assert!(told["note"].as_str().is_some_and(|note| note.contains(&as_of)), "{told}");
    // As standard clients see it.
    let script = "
import sys, adbc_driver_flightsql.dbapi as dbapi
cursor = dbapi.connect('grpc+unix://' + sys.argv[1], autocommit=True).cursor()
cursor.execute('select count(*) from t')
print((cursor.fetch_arrow_table().schema.metadata or {}).get(b'dbmux.as_of', b'').decode())
";
    let adbc = Command::new(python()).args(["-c", script]).arg(client.socket()).output().expect("Python runs");
    assert_eq!(String::from_utf8_lossy(&adbc.stdout).trim(), as_of, "{}", String::from_utf8_lossy(&adbc.stderr));
    // What is begun there cannot write, and what waits is told for whom.
    let transaction = client.session().expect("a session");
    transaction.execute("begin").expect("it begins");
    assert_eq!(one(&transaction, "select count(*) from t").0, "1000");
    let refused = transaction.execute("insert into t values (1)").expect_err("it began on the snapshot");
    assert_eq!(refused.code(), ErrorCode::TransactionConflict, "{refused}");
    transaction.execute("rollback").expect("it ends");
    let (code, error) = place.fails(&["sql", "a.duckdb", "insert into t values (1)", "--wait", "300ms"]);
    assert_eq!((code, error["code"].as_str()), (75, Some("DATABASE_LOCKED")), "{error}");
    assert!(error["holder"]["command"].as_str().is_some_and(|command| command.contains("python")), "{error}");
    let waits = place.dbmux(["sql", "a.duckdb", "insert into t values (2000)"]).spawn().expect("a writer");
    assert_eq!(leased.sql("insert into t values (-1)"), "[(1,)]");
    let status = place.status("a.duckdb");
    assert_eq!((&status["state"], &status["as_of"]), (&"leased".into(), &as_of.into()), "{status}");
    leased.end();
    assert!(waits.wait_with_output().expect("its end").status.success());
    until("the file answers again", || one(&session, "select count(*) from a.main.t") == ("1002".to_owned(), None));
}

#[test]
fn reads_wait_where_that_is_asked_for() {
    let place = place();
    place.make("a.duckdb", "create table t as select 1 as i");
    let leased = Leased::start(&place, &["--reads", "wait"]);
    let (code, error) = place.fails(&["sql", "a.duckdb", "select * from t", "--wait", "200ms"]);
    assert_eq!((code, error["code"].as_str()), (75, Some("DATABASE_LOCKED")), "{error}");
    assert!(!error["suggestion"].as_str().unwrap_or_default().contains("snapshot"), "{error}");
    leased.end();
    // A session may want what is there now, whoever else has a snapshot.
    let leased = Leased::start(&place, &[]);
    assert_eq!(place.sql("a.duckdb", "select i from t"), "1");
    let (code, error) = place.fails(&["sql", "a.duckdb", "select * from t", "--wait", "200ms", "--reads", "wait"]);
    assert_eq!((code, error["code"].as_str()), (75, Some("DATABASE_LOCKED")), "{error}");
    assert!(error["suggestion"].as_str().is_some_and(|hint| hint.contains("--reads snapshot")), "{error}");
    leased.end();
}

/// Whether copies here share their blocks with the original.
fn shares(place: &Place) -> bool {
    let copy =
        Command::new("cp").arg("--reflink=always").arg(place.path("a.duckdb")).arg(place.path("shared")).output();
    let shares = copy.is_ok_and(|copy| copy.status.success());
    let _ = std::fs::remove_file(place.path("shared"));
    shares
}

#[test]
fn reads_of_a_file_that_is_too_large_wait_and_are_told_why() {
    let place = place().with("DBMUX_SNAPSHOT_LIMIT", "4KiB");
    place.make("a.duckdb", "create table t as select 1 as i");
    if shares(&place) {
        return;
    }
    let leased = Leased::start(&place, &[]);
    let (code, error) = place.fails(&["sql", "a.duckdb", "select * from t", "--wait", "200ms"]);
    assert_eq!((code, error["code"].as_str()), (75, Some("DATABASE_LOCKED")), "{error}");
    assert!(error["suggestion"].as_str().is_some_and(|why| why.contains("--snapshot-limit")), "{error}");
    leased.end();
    assert_eq!(place.sql("a.duckdb", "select i from t"), "1");
    assert_eq!(beside(&place).len(), 3, "{:?}", beside(&place));
}

#[test]
fn nothing_is_left_behind_whatever_is_killed() {
    let place = place();
    let seed = seed();
    let mut dice = Dice(seed);
    // Large enough to be copied for a while.
    place.make(
        "a.duckdb",
        "create table t as select range as i, hash(range) as h, hash(range + 1) as g from range(3000000)",
    );
    let mut acknowledged = 3_000_000;
    for turn in 0..8 {
        place.sql("a.duckdb", "insert into t values (0, 0, 0)");
        acknowledged += 1;
        let mut command = place.dbmux(["run", "a.duckdb", "--", "sleep", "0.3"]);
        let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(dice.roll(120)));
        let what = if turn % 2 == 0 { "broker" } else { "copier" };
        if turn % 2 == 0 {
            place.kill_brokers();
        } else {
            for pid in copiers(&place) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        assert!(run.wait().expect("its end").success(), "turn {turn}, the {what} was killed");
        until("no process that copies is left", || copiers(&place).is_empty());
        let rows = place.sql("a.duckdb", "select count(*) from t");
        assert_eq!(rows, acknowledged.to_string(), "turn {turn}, the {what} was killed");
    }
    place.run(["stop", "a.duckdb"]);
    assert_eq!(beside(&place), ["a.duckdb", "a.duckdb.dbmux", "run"], "seed {seed}");
}

/// The processes that copy the database.
pub(super) fn copiers(place: &Place) -> Vec<Pid> {
    let database = place.path("a.duckdb").canonicalize().expect("the database");
    let is_copier = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("snapshot-copy") && line.contains(&*database.to_string_lossy())
    };
    let entries = std::fs::read_dir("/proc").expect("it is there").filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_copier);
    pids.filter_map(Pid::from_raw).collect()
}
