//! What is told of a broker that is stopped: who it is, and no more than is known.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use dbmux_testkit::{Foreign, Place, Terminal, until};
use serde_json::{Value, json};

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

fn report(place: &Place, arguments: &[&str]) -> String {
    let output = place.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn json_report(place: &Place, arguments: &[&str]) -> Value {
    serde_json::from_str(&report(place, arguments)).expect("JSON")
}

#[test]
fn who_and_status_know_a_stopped_broker_by_its_owner_lock() {
    let place = place().with("DBMUX_RELEASE_AFTER", "1h");
    place.sql("a.duckdb", "create table t as select 1 as i");
    let socket = place.status("a.duckdb")["socket"].clone();
    let stopped = place.stop_broker();
    let pid = stopped.pid();

    let shown = report(&place, &["who", "a.duckdb"]);
    assert!(shown.contains("the dbmux broker; it is stopped, and answers nobody"), "{shown}");
    assert!(shown.contains(&format!("kill -CONT {pid} lets it go on")), "{shown}");
    assert!(shown.contains(&format!("broker: pid {pid}, is stopped, and does not answer\n")), "{shown}");
    assert!(!shown.contains("without dbmux") && !shown.contains("none runs"), "{shown}");
    let who = json_report(&place, &["who", "a.duckdb", "--json"]);
    let database = place.path("a.duckdb").canonicalize().expect("it is there");
    let silent = json!({ "database": database, "pid": pid, "socket": socket, "state": "stopped" });
    assert_eq!(who["broker"], silent);
    assert_eq!(who["holders"][0]["kind"], "broker", "{who}");

    // Of all brokers, what is not known is left out.
    assert_eq!(json_report(&place, &["status", "--json"]), json!([silent]));
    let shown = report(&place, &["status"]);
    assert!(shown.contains("stopped") && !shown.contains("0 ms") && !shown.contains("0.0 MiB"), "{shown}");
    drop(stopped);
    until("it goes on", || report(&place, &["who", "a.duckdb"]).contains("attached"));
}

#[test]
fn whoever_waits_for_a_stopped_broker_is_told_so() {
    let place = place();
    place.sql("a.duckdb", "select 1");
    let stopped = place.stop_broker();
    let waiting = Terminal::start(place.dbmux(["sql", "a.duckdb", "select 42", "--wait", "60s"]));
    let which = format!("for the broker (pid {}), which is stopped: kill -CONT", stopped.pid());
    let line = waiting.wait_for("for whom it waits", |screen| screen.contains(&which));
    assert!(!line.contains("to start"), "{line}");
    waiting.wait_for("the time goes on", |screen| screen.contains("waiting 2 s · for the broker"));
    drop(stopped);
    let (status, shown) = waiting.end();
    assert!(status.success() && shown.contains("│ 42 │"), "{shown}");
}

#[test]
fn a_served_broker_that_is_stopped_is_listed_by_its_database() {
    let place = place();
    let mut serving = place.dbmux(["serve", "a.duckdb"]).spawn().expect("it starts");
    until("it serves", || place.brokers().len() == 1);
    let stopped = place.stop_broker();
    let shown = report(&place, &["status"]);
    let database = place.path("").canonicalize().expect("it is there").join("a.duckdb");
    assert!(shown.contains(&database.display().to_string()), "{shown}");
    stopped.kill();
    serving.wait().expect("its end");
}

#[test]
fn a_program_without_dbmux_is_no_broker() {
    let place = place();
    place.make("a.duckdb", "create table t (i int)");
    let mut foreign = Foreign::start();
    until("the file is let go", || foreign.open(&place.path("a.duckdb"), false).starts_with("ok"));
    let who = json_report(&place, &["who", "a.duckdb", "--json"]);
    assert_eq!(who["holders"][0]["kind"], "process", "{who}");
    assert_eq!(who["broker"]["state"], "released", "{who}");
}
