//! Leases inside of leases, several files, priorities, and deadlines of those who keep the file.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use dbmux_testkit::{Foreign, Place, Shell, python, until};

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a shell's words inside of a lease, in which `dbmux` is this one.
fn inside(place: &Place, databases: &[&str], script: &str) -> (Option<i32>, String, String) {
    let script = script.replace("dbmux", place.binary().to_str().expect("text"));
    let output = place.run(["run"].iter().chain(databases).chain(&["--", "sh", "-c", &script]));
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_run_inside_a_run_is_part_of_it() {
    let place = place();
    place.sql("a.duckdb", "create table t (i int)");
    let began = Instant::now();
    let same = inside(&place, &["a.duckdb"], "dbmux run a.duckdb -- dbmux run ./a.duckdb -- echo inside");
    assert_eq!(same, (Some(0), "inside\n".into(), String::new()));
    // Of two files it takes the one that it does not have; the whole tree knows of both.
    let other = "dbmux run a.duckdb b.duckdb -- dbmux run b.duckdb a.duckdb -- dbmux who b.duckdb --json";
    let (code, out, error) = inside(&place, &["a.duckdb"], other);
    assert_eq!(code, Some(0), "{error}");
    let who: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let command = who["file_lock"]["holders"][0]["command"].as_str().unwrap_or_default();
    assert!(command.contains("run b.duckdb a.duckdb"), "the other file was taken by the outer of the two: {who}");
    assert!(began.elapsed() < Duration::from_secs(10), "it waited for itself");
}

/// What was told in a variable is not believed.
#[test]
fn nobody_lets_himself_in_by_hand() {
    let place = place();
    place.sql("a.duckdb", "create table t (i int)");
    let mut tool = Foreign::leased(&place, &["a.duckdb"]);
    let token = tool.tell("__import__('os').environ['DBMUX_LEASE']");
    let token = token.trim_start_matches("ok '").trim_end_matches('\'');
    let mut claims = place.dbmux(["run", "a.duckdb", "--wait", "300ms", "--", "echo", "in"]);
    let output = claims.env("DBMUX_LEASE", token).output().expect("it runs");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(75), String::new()), "{}", text(&output.stderr));
    for nonsense in ["1", "x@y:z", ",,,", "99999999999999999999@1:1"] {
        let mut claims = place.dbmux(["run", "a.duckdb", "--wait", "0", "--", "echo", "in"]);
        let output = claims.env("DBMUX_LEASE", nonsense).output().expect("it runs");
        assert_eq!(output.status.code(), Some(75), "{nonsense}: {}", text(&output.stderr));
    }
    // One inside of it that was not told does not wait for itself either.
    let lost = inside(&place, &["b.duckdb"], "unset DBMUX_LEASE; dbmux run b.duckdb -- echo in");
    assert_eq!((lost.0, lost.1.as_str()), (Some(1), ""), "{}", lost.2);
    assert!(lost.2.contains("runs inside of: waiting cannot help"), "{}", lost.2);
    // Nor does one that the owner itself has become.
    let binary = place.binary().to_str().expect("text");
    let runtime = format!("DBMUX_RUNTIME_DIR={}", place.path("run").display());
    let nested = [binary, "run", "b.duckdb", "--wait", "20s", "--", "echo", "in"];
    let lost = place.run(["run", "b.duckdb", "--", "env", "-i", &runtime].into_iter().chain(nested));
    assert_eq!((lost.status.code(), text(&lost.stdout)), (Some(1), String::new()), "{}", text(&lost.stderr));
    assert!(text(&lost.stderr).contains("runs inside of: waiting cannot help"), "{}", text(&lost.stderr));
}

#[test]
fn a_statement_that_would_wait_for_itself_is_refused_at_once() {
    let place = place();
    let began = Instant::now();
    // A copy, where the broker has come to make one, would answer.
    let handed_over = ["--reads", "wait", "a.duckdb"];
    // Without a broker, and with one that knows already.
    for round in 0..2 {
        let (code, out, error) = inside(&place, &handed_over, "dbmux sql a.duckdb 'select 1'");
        assert_eq!((code, out.as_str()), (Some(1), ""), "{round}: {error}");
        assert!(error.contains("a.duckdb is handed over to a command that this one runs inside of"), "{error}");
        assert!(error.contains("use that command's own connection"), "{error}");
    }
    let merged = inside(&place, &handed_over, "dbmux sql a.duckdb 'insert into t values (1)'");
    assert!(merged.2.contains("runs inside of"), "{}", merged.2);
    let other = inside(&place, &["a.duckdb"], "dbmux sql b.duckdb 'select 42' --format csv");
    assert_eq!((other.0, other.1.as_str()), (Some(0), "42\n42\n"), "{}", other.2);
    assert!(began.elapsed() < Duration::from_secs(15), "it waited for itself");
    assert_eq!(place.sql("a.duckdb", "select 1"), "1");
}

/// Everybody asks in one order, so nobody waits for somebody who waits for him.
#[test]
fn files_named_in_opposite_orders_do_not_deadlock() {
    let place = place();
    std::fs::write(place.path("count"), "0").expect("a file");
    let add = "n=$(cat count); echo $((n+1)) > count";
    let script = |first: &str, other: &str| {
        let run = format!("{} run {first} {other} --wait 30s -- sh -c '{add}'", place.binary().display());
        format!("for i in 1 2 3 4 5 6 7 8 9 10; do {run} || exit 1; done")
    };
    let runs = [("a.duckdb", "b.duckdb"), ("b.duckdb", "a.duckdb"), ("./b.duckdb", "a.duckdb")].map(|(one, other)| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &script(one, other)]);
        place.set_up(&mut shell);
        shell.spawn().expect("a shell")
    });
    for mut run in runs {
        assert!(run.wait().expect("its end").success());
    }
    assert_eq!(std::fs::read_to_string(place.path("count")).expect("a file"), "30\n", "two had the files at once");
}

#[test]
fn priorities_decide_who_is_next() {
    let place = place();
    let tool = Foreign::leased(&place, &["a.duckdb"]);
    let waiters = ["low", "normal", "high"].map(|priority| {
        let script = format!("echo {priority} >> order");
        let arguments = ["run", "a.duckdb", "--priority", priority, "--", "sh", "-c", &script];
        let mut waiter = place.dbmux(arguments).stderr(Stdio::piped()).spawn().expect("it starts");
        // It says for whom it waits; then it has its place in line.
        let mut line = String::new();
        BufReader::new(waiter.stderr.take().expect("its errors")).read_line(&mut line).expect("a line");
        assert!(line.starts_with("waiting for a.duckdb: ") && line.contains("python"), "{line}");
        waiter
    });
    tool.end();
    for mut waiter in waiters {
        assert!(waiter.wait().expect("its end").success());
    }
    assert_eq!(std::fs::read_to_string(place.path("order")).expect("a file"), "high\nnormal\nlow\n");
}

/// A transaction may come to its end; one that is idle is ended, and its session is the one that is named.
#[test]
fn open_transactions_are_waited_for_and_named() {
    let place = place().with("DBMUX_IDLE_TRANSACTION", "1500ms");
    place.make("a.duckdb", "create table t (i int)");
    let mut busy = Shell::start(&place, "a.duckdb", &[]);
    busy.done("begin; insert into t values (1)");
    let (code, error) = place.fails(&["run", "a.duckdb", "--wait", "300ms", "--json", "--", "true"]);
    assert_eq!((code, &error["holding_pid"]), (75, &busy.pid().into()), "{error}");
    let waiting = place.dbmux(["run", "a.duckdb", "--", "true"]).spawn().expect("it starts");
    let write = ["sql", "a.duckdb", "create table if not exists other (i int)", "--wait", "0"];
    until("nobody enters to write", || !place.run(write).status.success());
    busy.done("insert into t values (2); commit");
    assert!(waiting.wait_with_output().expect("its end").status.success());

    let mut idle = Shell::start(&place, "a.duckdb", &[]);
    idle.done("begin; insert into t values (3)");
    let began = Instant::now();
    assert!(place.run(["run", "a.duckdb", "--", "true"]).status.success());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    idle.tell("commit");
    assert!(idle.end().1.contains("IDLE_TIMEOUT"));
    assert_eq!(place.sql("a.duckdb", "from t order by i"), "1\n2");
}

/// A statement that runs is waited for, up to a limit.
#[test]
fn a_statement_that_runs_for_too_long_is_ended() {
    let place = place().with("DBMUX_DRAIN", "1s");
    place.make("a.duckdb", "create table t (i int)");
    for long in [
        "select count(*) from range(1000000) a, range(1000000) b",
        "insert into t select 1 from range(1000000) a, range(1000000) b where a.range + b.range = 1",
        "begin; insert into t values (1); select count(*) from range(1000000) a, range(1000000) b",
    ] {
        let mut shell = Shell::start(&place, "a.duckdb", &[]);
        shell.tell(long);
        until("it runs", || place.status("a.duckdb")["running"].as_array().is_some_and(|running| running.len() == 1));
        let (code, error) = place.fails(&["run", "a.duckdb", "--wait", "100ms", "--json", "--", "true"]);
        assert_eq!((code, &error["holding_pid"]), (75, &shell.pid().into()), "it is not waited for: {error}");
        let began = Instant::now();
        let output = place.run(["run", "a.duckdb", "--wait", "30s", "--", "true"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(began.elapsed() >= Duration::from_millis(500) && began.elapsed() < Duration::from_secs(10));
        let (code, error) = shell.end();
        assert_eq!(code, 75, "{error}");
        assert!(error.contains("DEADLINE_EXCEEDED") && error.contains("has waited 1 s for the file"), "{error}");
    }
    assert_eq!(place.sql("a.duckdb", "select count(*) from t"), "0");
}

/// A tool that opens the file again and again finds it free each time.
#[test]
fn between_two_openings_nobody_gets_in() {
    let place = place();
    place.make("a.duckdb", "create table t (i int)");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let openings = "
import duckdb
for i in range(40):
    with duckdb.connect('a.duckdb') as connection:
        connection.execute('insert into t values (?)', [i])
";
    let python = python();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let output = place.run(["sql", "a.duckdb", "insert into t values (-1); select count(*) from t"]);
                    assert!(output.status.success(), "{}", text(&output.stderr));
                }
            });
        }
        for _ in 0..3 {
            let output = place.run(["run", "a.duckdb", "--", python.to_str().expect("text"), "-c", openings]);
            assert!(output.status.success(), "{}", text(&output.stderr));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(place.sql("a.duckdb", "select count(*) from t where i >= 0"), "120");
}
