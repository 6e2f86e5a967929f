//! Leases one after the other, and askers who give up, are stopped, or come from elsewhere.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dbmux_client::{
    ClientOptions, ErrorCode,
    blocking::{Client, Session},
};
use dbmux_testkit::{Dice, Place, children_of, python, seed, until};
use rustix::process::{Pid, Signal, kill_process};

use super::leased::{Directed, Leased, one};

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

fn small(place: &Place) {
    place.make("a.duckdb", "create table t as select 1 as i");
}

/// A small file that has been read, two sessions on it, and a lease that has just been given.
fn lent(place: &Place) -> (Client, [Session; 2], Leased) {
    small(place);
    let client = place.blocking_client("a.duckdb", ClientOptions::default());
    let sessions = [(); 2].map(|()| client.session().expect("a session"));
    assert_eq!(one(&sessions[0], "select i from t").0, "1");
    (client, sessions, Leased::start(place, &[]))
}

/// Large enough that a copy takes a while.
fn large(place: &Place) {
    place.make(
        "a.duckdb",
        "create table t as select range as i, hash(range) as h, hash(range + 1) as g from range(6000000)",
    );
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().expect("a process")).expect("a process")
}

#[test]
fn the_second_of_two_leases_has_a_copy_of_what_the_first_left() {
    let place = place();
    small(&place);
    let client = place.blocking_client("a.duckdb", ClientOptions::default());
    let session = client.session().expect("a session");
    assert_eq!(one(&session, "select i from t").0, "1");
    let mut first = Leased::start(&place, &[]);
    first.sql("update t set i = 2");
    assert_eq!(one(&session, "select i from t").0, "1", "the copy is from before");
    std::thread::scope(|scope| {
        let second = scope.spawn(|| Leased::start(&place, &[]));
        until("the broker and the second stand in line", || {
            let who = place.run(["who", "a.duckdb", "--json"]);
            let who: serde_json::Value = serde_json::from_slice(&who.stdout).expect("an object");
            who["file_lock"]["waiting"].as_array().is_some_and(|waiting| waiting.len() == 2)
        });
        assert_eq!(first.end(), "");
        let mut second = second.join().expect("a lease");
        let (read, as_of) = one(&session, "select i from t");
        assert_eq!((read.as_str(), as_of.is_some()), ("2", true));
        second.sql("update t set i = 3");
        assert_eq!(one(&session, "select i from t").0, "2");
        assert_eq!(second.end(), "");
    });
    until("the file answers again", || one(&session, "select i from t") == ("3".to_owned(), None));
}

#[test]
fn after_a_lease_that_nobody_noticed_nobody_is_waited_for() {
    let place = place();
    small(&place);
    for turn in 0..6 {
        assert_eq!(place.sql("a.duckdb", "select count(*) from t"), "1");
        assert!(place.run(["run", "a.duckdb", "--", "true"]).status.success());
        match turn % 3 {
            // One who never waits has a free file at once.
            0 => {
                let read = place.run(["sql", "a.duckdb", "select 1 from t", "--wait", "0"]);
                assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
            }
            1 => {
                let mut leased = Leased::start(&place, &[]);
                assert_eq!(place.sql("a.duckdb", "select count(*) from t"), "1", "from a copy");
                assert_eq!(leased.sql("select 1"), "[(1,)]");
                assert_eq!(leased.end(), "");
            }
            _ => {
                let kept = place.run(["snapshot", "a.duckdb", "kept", "--force"]);
                assert!(kept.status.success(), "{}", String::from_utf8_lossy(&kept.stderr));
            }
        }
    }
}

#[test]
fn an_asker_who_gives_up_at_any_moment_changes_nothing() {
    let place = place();
    small(&place);
    let seed = seed();
    let mut dice = Dice(seed);
    let mut written = 1;
    for turn in 0..80 {
        let mut command = place.dbmux(["run", "a.duckdb", "--", "true"]);
        let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(Duration::from_micros(3_000 + dice.roll(30_000)));
        let signal = if turn % 2 == 0 { Signal::INT } else { Signal::KILL };
        let _ = kill_process(pid(&run), signal);
        let _ = run.wait();
        let write = place.run(["sql", "a.duckdb", "insert into t values (0)"]);
        assert!(write.status.success(), "seed {seed}, turn {turn}: {}", String::from_utf8_lossy(&write.stderr));
        written += 1;
        let read = place.run(["sql", "a.duckdb", "select count(*) from t", "--reads", "wait"]);
        assert_eq!(String::from_utf8_lossy(&read.stdout).trim().lines().last(), Some(written.to_string().as_str()));
    }
    // Nothing that copied is left, dead or alive.
    for broker in place.brokers() {
        let broker = u32::try_from(broker.as_raw_nonzero().get()).expect("a process");
        until("the broker has no child", || children_of(broker).is_empty());
    }
}

#[test]
fn a_transaction_that_began_on_an_old_copy_does_not_keep_the_file() {
    let place = place().with("DBMUX_IDLE_TRANSACTION", "1s").with("DBMUX_DRAIN", "2s");
    let (_, [old, session], leased) = lent(&place);
    old.execute("begin").expect("it begins");
    assert!(one(&old, "select i from t").1.is_some());
    assert_eq!(leased.end(), "");
    session.execute("update t set i = 2").expect("the file is back");
    // Others want the file: the old transaction is no better than any that is idle.
    let asked = Instant::now();
    assert!(place.run(["run", "a.duckdb", "--reads", "wait", "--", "true"]).status.success());
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!(old.execute("commit").expect_err("it was ended").code(), ErrorCode::IdleTimeout);
}

/// It has looked at nothing yet: what it sees when it does is the copy, and the next lease need not wait for it.
#[test]
fn a_transaction_that_began_on_a_copy_and_looks_later_keeps_nobody_from_the_file() {
    let place = place().with("DBMUX_DRAIN", "2s");
    let (_, [old, session], leased) = lent(&place);
    old.execute("begin").expect("it begins");
    assert_eq!(leased.end(), "");
    session.execute("update t set i = 2").expect("the file is back");
    let (seen, as_of) = one(&old, "select i from t");
    assert_eq!((seen.as_str(), as_of.is_some()), ("1", true));
    assert_eq!(old.execute("insert into t values (7)").expect_err("a copy").code(), ErrorCode::TransactionConflict);
    old.execute("rollback").expect("it ends");
    let leased = Leased::start(&place, &[]);
    old.execute("begin").expect("it begins");
    assert_eq!(leased.end(), "");
    session.execute("update t set i = 3").expect("the file is back");
    assert_eq!(one(&old, "select i from t").0, "2");
    let asked = Instant::now();
    let mut leased = Leased::start(&place, &[]);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(leased.sql("select i from t"), "[(3,)]");
    assert_eq!(one(&old, "select i from t").0, "2", "to its end");
    assert_eq!(leased.end(), "");
    old.execute("commit").expect("nobody has ended it");
    assert_eq!(one(&session, "select i from t").0, "3");
}

/// It began on a copy, and has come upon the file: it keeps that from then on, as any other does, and is ended as any other.
#[test]
fn a_transaction_that_came_upon_the_file_is_waited_for_and_ended() {
    let place = place().with("DBMUX_DRAIN", "2s");
    let (_, [old, session], leased) = lent(&place);
    old.execute("begin").expect("it begins");
    assert_eq!(leased.end(), "");
    session.execute("update t set i = 2").expect("the file is back");
    let both = old.execute("select count(*) from duckdb_tables()").expect_err("two of one name");
    assert_eq!(both.code(), ErrorCode::TransactionConflict);
    // Whoever does not wait for so long is told for whom.
    let output = place.run(["run", "a.duckdb", "--wait", "1s", "--", "true"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(&std::process::id().to_string()), "{said}");
    let asked = Instant::now();
    let mut leased = Leased::start(&place, &[]);
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    assert_eq!(leased.sql("select i from t"), "[(2,)]");
    assert!(leased.end().contains(&std::process::id().to_string()));
    assert_eq!(old.execute("commit").expect_err("it was ended").code(), ErrorCode::DeadlineExceeded);
    session.execute("update t set i = 3").expect("the file is ours again");
    assert_eq!(one(&session, "select i from t").0, "3");
}

/// It was let in beside the copy, and the file is back when it begins to read.
#[test]
fn a_statement_that_finds_the_file_back_is_waited_for_and_ended() {
    let place = place().with("DBMUX_DRAIN", "2s");
    let (_, [old, session], leased) = lent(&place);
    let (pipe, copied) = (place.path("pipe"), place.path("copied"));
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    std::fs::create_dir(&copied).expect("a folder");
    // Its first part waits for what comes through the pipe.
    let text = format!(
        "select * from read_csv('{}', columns = {{'word': 'varchar'}}, auto_detect = false);
         copy (select i, range from t, range(100000000000)) to '{}/out.csv'",
        pipe.display(),
        copied.display()
    );
    std::thread::scope(|scope| {
        let runs = scope.spawn(|| old.execute(&text).expect_err("it is ended").code());
        until("it runs", || place.status("a.duckdb")["running"].as_array().is_some_and(|running| !running.is_empty()));
        assert_eq!(leased.end(), "");
        session.execute("update t set i = 2").expect("the file is back");
        std::fs::write(&pipe, "go on\n").expect("it reads");
        until("its second part runs", || std::fs::read_dir(&copied).expect("a folder").next().is_some());
        let asked = Instant::now();
        let mut leased = Leased::start(&place, &[]);
        assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
        assert_eq!(leased.sql("select i from t"), "[(2,)]");
        let said = leased.end();
        assert!(said.contains(&std::process::id().to_string()), "{said}");
        assert_eq!(runs.join().expect("its end"), ErrorCode::DeadlineExceeded);
    });
}

const IN_A_TRANSACTION: &str = "
import sys, adbc_driver_flightsql.dbapi as dbapi
cursor = dbapi.connect('grpc+unix://' + sys.argv[1], autocommit=False).cursor()
for line in sys.stdin:
    what, sql = line.strip().split(' ', 1)
    try:
        if what == 'prepare':
            print('prepared', cursor.adbc_prepare(sql) and '', flush=True)
        else:
            cursor.execute(sql)
            print(cursor.fetchall(), flush=True)
    except dbapi.Error as error:
        print(type(error).__name__, flush=True)
";

/// To find what a text names, the engine looks into the file as well: what was only prepared counts as what was run.
#[test]
fn a_transaction_that_came_upon_the_file_when_it_prepared_is_waited_for_and_ended() {
    let place = place().with("DBMUX_DRAIN", "2s");
    let (client, [session, _], leased) = lent(&place);
    let mut command = Command::new(python());
    let mut old = Directed::start(command.args(["-u", "-c", IN_A_TRANSACTION]).arg(client.socket()));
    assert_eq!(old.ask("run select i from t"), "[(1,)]");
    assert_eq!(leased.end(), "");
    session.execute("update t set i = 2").expect("the file is back");
    assert_eq!(old.ask("prepare select * from no_such_table"), "OperationalError", "two of one name");
    let asked = Instant::now();
    let mut leased = Leased::start(&place, &[]);
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    assert_eq!(leased.sql("select i from t"), "[(2,)]");
    let said = leased.end();
    assert!(said.contains(&old.pid().to_string()), "{said}");
    // One that is only broken would be told so by a ProgrammingError.
    assert_eq!(old.ask("run select i from t"), "OperationalError", "it was ended");
}

#[test]
fn who_works_for_too_long_is_ended_once_whatever_becomes_of_reads() {
    let place = place().with("DBMUX_DRAIN", "2s");
    small(&place);
    let client = place.blocking_client("a.duckdb", ClientOptions::default());
    let session = client.session().expect("a session");
    std::thread::scope(|scope| {
        let long = scope.spawn(|| {
            let sql = "create table u as select count(*) as n from range(100000000000) where range % 7 = 3";
            session.execute(sql).expect_err("it is ended").code()
        });
        until("it runs", || place.status("a.duckdb")["running"].as_array().is_some_and(|running| !running.is_empty()));
        let asked = Instant::now();
        let output = place.run(["run", "a.duckdb", "--wait", "20s", "--", "true"]);
        let (took, said) = (asked.elapsed(), String::from_utf8_lossy(&output.stderr).into_owned());
        assert!(output.status.success(), "{said}");
        assert!(took < Duration::from_millis(3900), "it waited twice: {took:?}");
        assert!(!said.contains("reads wait"), "{said}");
        assert_eq!(long.join().expect("its end"), ErrorCode::DeadlineExceeded);
    });
}

#[test]
fn a_copy_that_takes_too_long_costs_half_of_the_patience_and_the_lease_comes_all_the_same() {
    let place = place();
    large(&place);
    assert_eq!(place.sql("a.duckdb", "select count(*) from t"), "6000000");
    let mut command = place.dbmux(["run", "a.duckdb", "--wait", "6s", "--", "true"]);
    let run = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stopped = Vec::new();
    until("the copy is begun, and stopped", || {
        stopped = super::snapshot::copiers(&place);
        stopped.iter().all(|copier| kill_process(*copier, Signal::STOP).is_ok()) && !stopped.is_empty()
    });
    let output = run.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("half of the time to wait"), "{said}");
    until("who copied has been ended", || super::snapshot::copiers(&place).is_empty());
}

#[test]
fn whoever_keeps_the_file_still_is_named_and_not_for_ever() {
    let place = place().with("DBMUX_DRAIN", "3s");
    large(&place);
    place.sql("a.duckdb", "select count(*) from t");
    let mut command = place.dbmux(["snapshot", "a.duckdb", "kept"]);
    let keeper = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let waits = |wait: &str| place.run(["sql", "a.duckdb", "insert into t values (0, 0, 0)", "--wait", wait, "--json"]);
    // Stopped while it has the file kept still.
    let began = Instant::now();
    let error = loop {
        kill_process(pid(&keeper), Signal::STOP).expect("it is stopped");
        let write = waits("300ms");
        if write.status.code() == Some(75) {
            break serde_json::from_slice::<serde_json::Value>(&write.stderr).expect("an error");
        }
        assert!(began.elapsed() < Duration::from_secs(10), "it was too quick for this test");
        kill_process(pid(&keeper), Signal::CONT).expect("it goes on");
        std::thread::sleep(Duration::from_millis(2));
    };
    assert_eq!((&error["holder"]["pid"], &error["holder"]["stopped"]), (&keeper.id().into(), &true.into()), "{error}");
    assert!(waits("10s").status.success(), "it keeps others from writing for ever");
    // What it copies is no database any more, and it says so.
    kill_process(pid(&keeper), Signal::CONT).expect("it goes on");
    let output = keeper.wait_with_output().expect("its end");
    assert!(!output.status.success() && !place.path("kept").exists());
    assert!(String::from_utf8_lossy(&output.stderr).contains("ended"), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_copy_for_keeping_waits_for_a_lease_but_not_for_one_around_it() {
    let place = place();
    small(&place);
    let mut leased = Leased::start(&place, &[]);
    let began = Instant::now();
    let (code, error) = place.fails(&["snapshot", "a.duckdb", "kept", "--wait", "600ms"]);
    assert_eq!((code, error["code"].as_str()), (75, Some("DATABASE_LOCKED")), "{error}");
    assert!(began.elapsed() > Duration::from_millis(600), "it did not wait");
    leased.sql("update t set i = 9");
    std::thread::scope(|scope| {
        let kept = scope.spawn(|| place.run(["snapshot", "a.duckdb", "kept", "--wait", "20s"]));
        until("it waits", || place.status("a.duckdb")["state"] == "leased");
        assert_eq!(leased.end(), "");
        let kept = kept.join().expect("its end");
        assert!(kept.status.success(), "{}", String::from_utf8_lossy(&kept.stderr));
    });
    assert_eq!(place.sql("kept", "select i from t"), "9");
    // From inside of a lease it cannot come to anything.
    let inside = "dbmux snapshot a.duckdb again --wait 20s";
    let program = place.binary().parent().expect("a folder").display().to_string();
    let mut command = place.dbmux(["run", "a.duckdb", "--", "sh", "-c", inside]);
    let path = std::env::var("PATH").unwrap_or_default();
    let (began, output) = (Instant::now(), command.env("PATH", format!("{program}:{path}")).output().expect("its end"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("waiting cannot help"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(5), "{said}");
}

#[test]
fn an_asker_who_cannot_see_the_broker_is_told_why_reads_wait() {
    let place = place();
    small(&place);
    assert_eq!(place.sql("a.duckdb", "select i from t"), "1");
    let elsewhere = place.path("elsewhere");
    let mut command = place.dbmux(["run", "a.duckdb", "--", "true"]);
    let output = command.env("DBMUX_RUNTIME_DIR", &elsewhere).output().expect("its end");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("another runtime directory"), "{said}");
    // One that is stopped is named in words.
    let stopped = place.stop_broker();
    let output = place.run(["run", "a.duckdb", "--wait", "2s", "--", "true"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("stopped") && !said.contains("Silen"), "{said}");
    drop(stopped);
}
