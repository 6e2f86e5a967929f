//! A transaction that is begun and not ended: its changes are lost, and that is told.

use std::process::Stdio;

use dbmux_testkit::{Place, Terminal};
use serde_json::Value;

fn place() -> Place {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    place.sql("a.duckdb", "create table t (i int)");
    place
}

const UNFINISHED: &str = "begin; insert into t values (9)";

#[test]
fn on_the_command_line_in_a_file_and_from_standard_input_it_is_an_error() {
    let place = place();
    let (code, error) = place.fails(&["sql", "a.duckdb", UNFINISHED]);
    assert_eq!((code, error["code"].as_str()), (1, Some("NOT_COMMITTED")), "{error}");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("rolled back")), "{error}");
    assert!(error["suggestion"].as_str().is_some_and(|hint| hint.contains("COMMIT")), "{error}");

    std::fs::write(place.path("load.sql"), UNFINISHED).expect("a file");
    let (code, error) = place.fails(&["sql", "a.duckdb", "-f", "load.sql"]);
    assert_eq!((code, error["code"].as_str()), (1, Some("NOT_COMMITTED")), "{error}");

    let mut dbmux = place.dbmux(["sql", "a.duckdb", "--json"]);
    let mut dbmux =
        dbmux.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    std::io::Write::write_all(&mut dbmux.stdin.take().expect("a pipe"), UNFINISHED.as_bytes()).expect("it reads");
    let output = dbmux.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&output.stderr).expect("JSON");
    assert_eq!(error["code"], "NOT_COMMITTED");
    assert_eq!(place.sql("a.duckdb", "select count(*) from t"), "0");
}

#[test]
fn what_is_ended_or_was_never_begun_is_none() {
    let place = place();
    place.sql("a.duckdb", "begin; insert into t values (1); commit");
    place.sql("a.duckdb", "begin transaction; insert into t values (2); rollback");
    // Of these it cannot be told from the text what they do: the broker knows.
    place.sql("a.duckdb", "prepare p as insert into t values ($1); execute p(3)");
    place.sql("a.duckdb", "prepare p as insert into t values ($1); begin; execute p(4); commit");
    assert_eq!(place.sql("a.duckdb", "select i from t order by i"), "1\n3\n4");
}

#[test]
fn the_prompt_warns_when_it_is_left() {
    let place = place();
    let ready = |screen: &str| screen.trim_end().lines().last().is_some_and(|line| line.trim_end() == "dbmux>");
    for farewell in ["exit\r", "quit;\r", ".exit\r", ".quit\r", "\x04"] {
        let mut prompt = Terminal::start(place.dbmux(["sql", "a.duckdb"]));
        prompt.wait_for("the prompt", ready);
        prompt.type_("begin; insert into t values (9);\r");
        prompt.wait_for("the change", |screen| screen.contains("1 row changed") && ready(screen));
        prompt.type_(farewell);
        let (status, shown) = prompt.end();
        assert!(status.success() && shown.contains("warning: the open transaction was rolled back"), "{shown}");
    }
    let mut prompt = Terminal::start(place.dbmux(["sql", "a.duckdb"]));
    prompt.wait_for("the prompt", ready);
    prompt.type_("exit\r");
    let (status, shown) = prompt.end();
    assert!(status.success() && !shown.contains("warning"), "{shown}");
    assert_eq!(place.sql("a.duckdb", "select count(*) from t"), "0");
}
