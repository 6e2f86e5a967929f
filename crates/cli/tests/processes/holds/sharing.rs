//! Many processes, one file.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use dbmux_testkit::{Foreign, Place, until};

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

#[test]
fn twenty_first_clients_at_the_same_instant_find_one_broker() {
    let place = place();
    let start = |_| place.dbmux(["sql", "a.duckdb", "select 42", "--format", "csv"]).stdout(Stdio::piped()).spawn();
    let clients: Vec<_> = (0..20).map(start).collect();
    for client in clients {
        let output = client.expect("dbmux starts").wait_with_output().expect("it ends");
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().last(), Some("42"));
    }
    assert_eq!(place.brokers().len(), 1);
}

#[test]
fn readers_see_only_what_is_committed_and_newer_as_time_goes_by() {
    let place = place();
    place.sql("a.duckdb", "create table pairs (id bigint, half bigint)");
    let script = (0..60).map(|turn| {
        format!("begin; insert into pairs values ({turn}, 1); insert into pairs values ({turn}, 2); commit;\n")
    });
    let mut writer = place.dbmux(["sql", "a.duckdb", &script.collect::<String>()]).spawn().expect("a writer");
    let mut last = 0;
    let mut running = true;
    while running {
        running = writer.try_wait().expect("a look").is_none();
        let answer = place.sql("a.duckdb", "select count(*), count(distinct id) from pairs");
        let (rows, ids) = answer.split_once(',').expect("two numbers");
        let (rows, ids): (u64, u64) = (rows.parse().expect("a number"), ids.parse().expect("a number"));
        assert_eq!(rows, 2 * ids, "half of a change was seen");
        assert!(rows >= last, "an older state was seen after a newer one");
        last = rows;
    }
    assert!(writer.wait().expect("its end").success());
    assert_eq!(last, 120);
}

#[test]
fn a_foreign_holder_is_named_waited_for_and_followed_at_once() {
    let place = place();
    place.make("a.duckdb", "create table t as select 1 as i");
    let mut foreign = wait_until_free(&place, "a.duckdb");
    // Out of time: exit 75, and the message of the guide.
    let output = place.run(["sql", "a.duckdb", "select 1", "--wait", "300ms"]);
    assert_eq!(output.status.code(), Some(75));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("a.duckdb is in use"), "{text}");
    assert!(text.contains(&format!("pid {}", foreign.pid())) && text.contains("python"), "{text}");
    assert!(text.contains("gave up after 30") && text.contains("wait longer with --wait"), "{text}");
    // In time: within 50 ms of its end.
    let waiter = place.dbmux(["sql", "a.duckdb", "select 42", "--format", "csv"]).stdout(Stdio::piped()).spawn();
    let waiter = waiter.expect("a waiter");
    until("the waiter is queued", || {
        let status = place.run(["status", "a.duckdb", "--json"]);
        String::from_utf8_lossy(&status.stdout).contains("select 42")
    });
    foreign.kill();
    let gone = Instant::now();
    let output = waiter.wait_with_output().expect("its end");
    let took = gone.elapsed();
    assert!(output.status.success());
    assert!(took < Duration::from_millis(50), "it took {took:?}");
}

/// Opens the file in a foreign process, as soon as the broker has let go of it.
fn wait_until_free(place: &Place, name: &str) -> Foreign {
    let mut foreign = Foreign::start();
    open_when_free(&mut foreign, &place.path(name));
    foreign
}

fn open_when_free(foreign: &mut Foreign, path: &Path) {
    let mut last = String::new();
    let begun = Instant::now();
    while !last.starts_with("ok") {
        assert!(begun.elapsed() < Duration::from_secs(20), "it was never let go: {last}");
        last = foreign.open(path, false);
    }
}

#[test]
fn beside_a_foreign_reader_reads_work_and_writes_wait_for_it() {
    let place = place();
    place.make("a.duckdb", "create table t as select 7 as i");
    until("the file is released", || {
        let status = place.run(["status", "a.duckdb", "--json"]);
        String::from_utf8_lossy(&status.stdout).contains("released")
    });
    let mut reader = Foreign::holding(&place.path("a.duckdb"), true);
    assert_eq!(place.sql("a.duckdb", "select i from t"), "7");
    let output = place.run(["sql", "a.duckdb", "insert into t values (8)", "--wait", "300ms", "--json"]);
    assert_eq!(output.status.code(), Some(75));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("DATABASE_LOCKED") && text.contains(&format!("\"holding_pid\":{}", reader.pid())), "{text}");
    let mut writer = place.dbmux(["sql", "a.duckdb", "insert into t values (8)"]).spawn().expect("a writer");
    until("the writer waits for the reader", || {
        let status = place.status("a.duckdb");
        let waits = |statement: &serde_json::Value| {
            statement["state"] == "waiting_for_file" && statement["sql"] == "insert into t values (8)"
        };
        ["queued", "running"].iter().any(|list| status[list].as_array().is_some_and(|all| all.iter().any(waits)))
    });
    // Readers go on beside it, and it is still waiting when they have their answers.
    assert_eq!(place.sql("a.duckdb", "select sum(i) from t"), "7");
    assert!(writer.try_wait().expect("a look").is_none(), "the writer did not wait");
    reader.close();
    assert!(writer.wait_with_output().expect("its end").status.success());
    assert_eq!(place.sql("a.duckdb", "select sum(i) from t"), "15");
}

#[test]
fn after_a_burst_a_foreign_tool_opens_the_file_and_sessions_live_on() {
    let place = place();
    place.make("a.duckdb", "select 1");
    let mut session = place.dbmux(["sql", "a.duckdb", "--format", "jsonl"]);
    let mut session = session.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a session");
    let mut input = session.stdin.take().expect("its input");
    let mut output = std::io::BufReader::new(session.stdout.take().expect("its output"));
    let mut ask = |sql: &str, lines: usize| {
        use std::io::{BufRead, Write};
        writeln!(input, "{sql}").expect("it listens");
        let mut text = String::new();
        for _ in 0..lines {
            output.read_line(&mut text).expect("an answer");
        }
        text
    };
    ask("create temp table mine as select 5 as i; create table t (i int);", 0);
    assert_eq!(ask("select i from mine;", 1), "{\"i\":5}\n");
    let mut foreign = wait_until_free(&place, "a.duckdb");
    assert!(foreign.sql("insert into t values (1)").starts_with("ok"));
    foreign.close();
    assert_eq!(ask("select mine.i + t.i as sum from mine, t;", 1), "{\"sum\":6}\n");
    drop(input);
    assert!(session.wait().expect("its end").success());
}
