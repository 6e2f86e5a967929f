//! A server touches nothing before it is asked, and ends with its client, however that goes.

use std::time::Duration;

use dbmux_testkit::{Kind, Place, until};
use serde_json::json;

use super::agent::Agent;

const KIND: Kind = Kind::Sqlite;

#[test]
fn what_nobody_asks_of_touches_nothing() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let mut agent = Agent::start(&place, &["--db", KIND.file()]);
    agent.ask("tools/list", json!({}));
    agent.ask("resources/list", json!({}));
    for tool in ["list_databases", "lock_status", "who_holds", "get_concurrent_access_stats"] {
        agent.call(tool, json!({})).expect(tool);
    }
    assert!(place.brokers().is_empty());
    assert!(!place.path(KIND.file()).exists());
    // One that only reads makes no database.
    drop(agent);
    let mut reader = Agent::start(&place, &["--db", KIND.file(), "--read-only"]);
    let failure = reader.call("query", json!({ "sql": "SELECT 1" })).expect_err("there is none");
    assert_eq!(failure["code"], "NO_SUCH_DATABASE", "{failure}");
    assert!(!place.path(KIND.file()).exists());
}

#[test]
fn it_ends_when_its_client_goes_away() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let mut agent = Agent::start(&place, &["--db", KIND.file()]);
    agent.call("execute", json!({ "sql": "CREATE TABLE t (a)" })).expect("made");
    agent.goes_away();
    assert!(agent.server.wait().expect("it ends").success());
}

#[test]
fn it_ends_while_a_tool_is_at_work() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let mut agent = Agent::start(&place, &["--db", KIND.file()]);
    agent.call("execute", json!({ "sql": "CREATE TABLE t (a)" })).expect("made");
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
    agent.send("tools/call", json!({ "name": "query", "arguments": { "sql": endless } }));
    let running = |place: &Place| place.status(KIND.file())["running"].as_array().expect("a list").len();
    until("it runs", || running(&place) == 1);
    agent.goes_away();
    let began = std::time::Instant::now();
    until("the server's end", || agent.server.try_wait().expect("a look").is_some());
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // Nor does its statement go on.
    until("the statement's end", || running(&place) == 0);
}

#[test]
fn it_ends_when_nobody_reads_what_it_says() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let mut agent = Agent::start(&place, &["--db", KIND.file()]);
    // The client is gone, and somebody whom it started still has the other end of the server's input.
    agent.stops_reading();
    agent.send("tools/list", json!({}));
    until("the server's end", || agent.server.try_wait().expect("a look").is_some());
}

#[test]
fn what_it_may_only_read_is_not_written_to() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    Agent::start(&place, &["--memory", "m.db"]).call("memory_store", json!({ "content": "a" })).expect("stored");
    let mut reader = Agent::start(&place, &["--memory", "m.db", "--read-only"]);
    let tools = reader.ask("tools/list", json!({}));
    let tools: Vec<_> =
        tools["tools"].as_array().expect("a list").iter().filter_map(|tool| tool["name"].as_str()).collect();
    for tool in ["memory_store", "store_memory", "memory_update", "memory_delete", "delete_memory", "execute", "query"]
    {
        assert!(!tools.contains(&tool), "{tool} is offered");
    }
    let found = reader.call("memory_search", json!({ "query": "a" })).expect("a search");
    assert_eq!(found["memories"].as_array().map(Vec::len), Some(1), "{found}");
}

#[test]
fn a_transaction_is_whole_and_said_to_be_so() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let mut agent = Agent::start(&place, &["--db", KIND.file()]);
    agent.call("execute", json!({ "sql": "CREATE TABLE t (a INTEGER PRIMARY KEY)" })).expect("made");
    for (arguments, code) in [
        (json!({ "sql": "BEGIN; INSERT INTO t VALUES (1)" }), "INVALID_ARGUMENT"),
        (json!({ "sql": "BEGIN" }), "INVALID_ARGUMENT"),
        (json!({ "statements": ["INSERT INTO t VALUES (1)", "COMMIT", "nonsense"] }), "INVALID_ARGUMENT"),
        (json!({ "statements": ["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)"] }), "SQL"),
    ] {
        let failure = agent.call("execute", arguments.clone()).expect_err("it is not done");
        assert_eq!(failure["code"], code, "{arguments}: {failure}");
        let found = agent.call("query", json!({ "sql": "SELECT count(*) FROM t" })).expect("rows");
        assert_eq!(found["rows"], json!([[0]]), "{arguments}");
    }
}
