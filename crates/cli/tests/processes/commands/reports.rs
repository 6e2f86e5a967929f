//! Reports on all brokers of a user, and what a program reads of those that had no JSON.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use dbmux_testkit::{Foreign, Place, until};
use serde_json::{Value, json};

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

fn report(place: &Place, arguments: &[&str]) -> Value {
    let output = place.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn stats_and_stop_without_a_database_are_of_every_broker() {
    let place = place();
    place.sql("a.duckdb", "select 1");
    place.sql("b.duckdb", "select 1");
    let path = |name: &str| place.path(name).canonicalize().expect("it is there").display().to_string();
    let stats = report(&place, &["stats", "--json"]);
    let databases: Vec<_> = stats.as_array().expect("an array").iter().map(|one| one["database"].clone()).collect();
    assert_eq!(databases, [path("a.duckdb"), path("b.duckdb")]);
    assert!(stats[0]["broker"]["statements"].as_u64().is_some_and(|statements| statements >= 1), "{stats}");
    let shown = String::from_utf8(place.run(["stats"]).stdout).expect("text");
    assert!(shown.contains(&path("a.duckdb")) && shown.contains(&path("b.duckdb")), "{shown}");

    let output = place.run(["stop"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    for name in ["a.duckdb", "b.duckdb"] {
        assert!(told.contains(&format!("the broker of {} (pid ", path(name))), "{told}");
    }
    assert!(place.brokers().is_empty(), "one of them runs on");
    assert_eq!(report(&place, &["stop", "--json"]), json!([]));

    place.sql("a.duckdb", "select 1");
    let stopped = report(&place, &["stop", "--json"]);
    assert_eq!(stopped[0]["database"], path("a.duckdb"));
    assert_eq!((&stopped[0]["stopped"], stopped.as_array().map(Vec::len)), (&json!(true), Some(1)), "{stopped}");
}

#[test]
fn a_broker_that_does_not_answer_keeps_no_other_from_its_end() {
    let place = place();
    place.sql("a.duckdb", "select 1");
    let stopped = place.stop_broker();
    place.sql("b.duckdb", "select 1");
    let output = place.run(["stop", "--json"]);
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    let ended: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((ended.as_array().map(Vec::len), &ended[0]["stopped"]), (Some(1), &json!(true)), "{ended}");
    let error: Value = serde_json::from_slice(&output.stderr).expect("one error");
    assert_eq!(error["holding_pid"], stopped.pid(), "{error}");
}

#[test]
fn environment_and_serve_can_be_read_by_programs() {
    let place = place();
    let variables = report(&place, &["environment", "--json"]);
    let named = |name: &str| variables.as_array().into_iter().flatten().find(|one| one["name"] == name).cloned();
    assert_eq!(named("DBMUX_RUNTIME_DIR").expect("it is listed")["set_to"], json!(place.path("run")));
    assert_eq!(named("DBMUX_WAIT").expect("it is listed")["set_to"], Value::Null);

    let mut serving = place.dbmux(["serve", "a.duckdb", "--json"]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(serving.stdout.take().expect("a pipe")).read_line(&mut line).expect("its word");
    let told: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(told["pid"], serving.id());
    assert_eq!(told["socket"], place.status("a.duckdb")["socket"]);
    assert!(place.run(["stop", "a.duckdb"]).status.success());
    serving.wait().expect("its end");

    let (code, error) = place.fails(&["serve", "no/such/place.duckdb"]);
    assert_eq!((code, error["code"].as_str()), (1, Some("NO_SUCH_DATABASE")), "{error}");
}

#[test]
fn one_holder_of_two_files_is_named_once() {
    let place = place();
    place.make("a.duckdb", "create table t (i int)");
    let mut foreign = Foreign::start();
    until("the file is let go", || foreign.open(&place.path("a.duckdb"), false).starts_with("ok"));
    assert!(foreign.sql("insert into t values (1)").starts_with("ok"), "it has a log now");
    let pid = format!("(pid {},", foreign.pid());
    let mut waiting =
        place.dbmux(["sql", "a.duckdb", "from t", "--wait", "60s"]).stdout(Stdio::null()).spawn().expect("run");
    until("the broker has seen both", || {
        place.status("a.duckdb")["holders"].as_array().is_some_and(|all| all.len() == 2)
    });
    let shown = String::from_utf8(place.run(["status", "a.duckdb"]).stdout).expect("text");
    let held: Vec<_> = shown.lines().filter(|line| line.starts_with("held by") && line.contains(&pid)).collect();
    assert_eq!(held.len(), 1, "{shown}");
    foreign.kill();
    assert!(waiting.wait().expect("its end").success());
}
