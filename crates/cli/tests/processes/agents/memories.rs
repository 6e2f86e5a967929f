//! Memories by way of servers: each tool, and twenty servers with kills in the middle.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use dbmux_testkit::Place;
use serde_json::{Value, json};

use super::agent::Agent;

const SERVERS: usize = 20;
const EACH: usize = 50;

fn hashes(found: &Value) -> Vec<&str> {
    let memories = found["memories"].as_array().expect("a list").iter();
    memories.filter_map(|one| one["content_hash"].as_str().or(one["memory"]["content_hash"].as_str())).collect()
}

#[test]
fn memories_are_stored_found_changed_and_deleted() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let mut agent = Agent::start(&place, &["--memory", "memory.db"]);
    let mut call =
        |tool: &str, arguments: Value| agent.call(tool, arguments).unwrap_or_else(|error| panic!("{tool}: {error}"));
    assert!(!place.path("memory.db").exists(), "nobody has asked for it");
    let first = call("memory_store", json!({ "content": "The staging host is called heron", "tags": ["hosts"] }));
    let heron = first["stored"][0]["content_hash"].as_str().expect("a hash").to_owned();
    assert_eq!(first["stored"][0]["new"], true);
    let again = call("store_memory", json!({ "content": "The staging host is called heron", "tags": "staging, ops" }));
    assert_eq!((&again["stored"][0]["content_hash"], &again["stored"][0]["new"]), (&json!(heron), &json!(false)));
    let several =
        json!([{ "content": "Tea is at four", "type": "habit" }, { "content": "Production is called egret" }]);
    let stored = call("memory_store", json!({ "memories": several }));
    let egret = stored["stored"][1]["content_hash"].as_str().expect("a hash").to_owned();
    let found = call("memory_search", json!({ "query": "staging host", "mode": "exact" }));
    assert_eq!(hashes(&found), [heron.as_str()], "{found}");
    assert_eq!(found["memories"][0]["memory"]["tags"], json!(["hosts", "ops", "staging"]), "{found}");
    let meant = call("retrieve_memory", json!({ "query": "host", "mode": "semantic", "n_results": 5 }));
    assert!(
        hashes(&meant).contains(&heron.as_str()) && meant["note"].is_string(),
        "it says that words were looked for: {meant}"
    );
    assert_eq!(hashes(&call("search_by_tag", json!({ "tags": ["ops"] }))), [heron.as_str()]);
    let recalled = call("recall_memory", json!({ "query": "what is called egret today" }));
    assert_eq!(hashes(&recalled).first(), Some(&egret.as_str()), "{recalled}");
    assert!(hashes(&call("recall_memory", json!({ "query": "what is called egret last week" }))).is_empty());
    let page = call("memory_list", json!({ "limit": 2 }));
    let rest = call("memory_list", json!({ "limit": 2, "cursor": page["next_cursor"] }));
    assert_eq!((page["total"].clone(), hashes(&page).len() + hashes(&rest).len()), (json!(3), 3));
    let changed = call(
        "memory_update",
        json!({ "content_hash": egret, "content": "Production is called ibis", "add_tags": ["hosts"] }),
    );
    assert_eq!(changed["memory"]["content"], "Production is called ibis");
    assert_eq!(hashes(&call("memory_search", json!({ "query": "ibis", "mode": "exact" }))).len(), 1);
    assert!(hashes(&call("memory_search", json!({ "query": "egret", "mode": "exact" }))).is_empty());
    let tried = call("memory_delete", json!({ "tags": ["hosts"] }));
    assert_eq!((tried["dry_run"].clone(), hashes_of(&tried)), (json!(true), 2));
    assert_eq!(call("memory_stats", json!({}))["figures"]["memories"], 3);
    call("memory_delete", json!({ "tags": ["hosts"], "dry_run": false }));
    call("delete_memory", json!({ "content_hash": stored["stored"][0]["content_hash"] }));
    assert_eq!(call("memory_stats", json!({}))["figures"]["memories"], 0);
    assert_eq!(call("memory_health", json!({}))["figures"]["words_are_true"], true);
    for (tool, arguments) in [
        ("memory_store", json!({})),
        ("memory_store", json!({ "content": "" })),
        ("memory_store", json!({ "content": 7 })),
        ("memory_store", json!({ "content": "a", "memories": [{ "content": "b" }] })),
        ("memory_search", json!({ "query": "a", "mode": "magic" })),
        ("memory_search", json!({ "query": "a", "limit": 0 })),
        ("memory_search", json!({ "query": "a", "time": "when pigs fly" })),
        ("memory_list", json!({ "cursor": "nonsense" })),
        ("memory_delete", json!({})),
        ("memory_delete", json!({ "tags": [""], "dry_run": false })),
        ("memory_delete", json!({ "type": " ", "dry_run": false })),
        ("search_by_tag", json!({ "tags": "" })),
    ] {
        let failure = agent.call(tool, arguments.clone()).expect_err("it makes no sense");
        assert_eq!(failure["code"], "INVALID_ARGUMENT", "{tool} {arguments}: {failure}");
    }
}

fn hashes_of(deleted: &Value) -> usize {
    deleted["content_hashes"].as_array().expect("a list").len()
}

#[test]
fn what_twenty_servers_store_is_there_once_whoever_is_killed() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let done = AtomicUsize::new(0);
    let acknowledged: Vec<String> = std::thread::scope(|scope| {
        let servers: Vec<_> = (0..SERVERS)
            .map(|server| {
                let (place, done) = (&place, &done);
                scope.spawn(move || {
                    let start = || Agent::start(place, &["--memory", "memory.db"]);
                    let mut agent = start();
                    let mut acknowledged = Vec::new();
                    for number in 0..EACH {
                        let content = format!("server {server} has stored {number}");
                        let arguments = json!({ "content": content, "tags": ["load"] });
                        if server == 0 && number == EACH / 2 {
                            // While it stores: whether it has, nobody knows, and storing it again changes nothing.
                            agent.send("tools/call", json!({ "name": "memory_store", "arguments": arguments }));
                            agent.server.kill().expect("a kill");
                            agent = start();
                        }
                        let stored = agent.call("memory_store", arguments);
                        stored.unwrap_or_else(|failure| panic!("{content}: {failure}"));
                        acknowledged.push(content);
                        if done.fetch_add(1, Ordering::Relaxed) == SERVERS * EACH / 2 {
                            place.kill_brokers();
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        servers.into_iter().flat_map(|server| server.join().expect("it goes on")).collect()
    });
    let mut agent = Agent::start(&place, &["--memory", "memory.db"]);
    let found = agent.call("memory_list", json!({ "limit": 1000, "tags": ["load"] })).expect("a page");
    let there: Vec<_> =
        found["memories"].as_array().expect("a list").iter().map(|one| one["content"].clone()).collect();
    assert_eq!((there.len(), found["total"].clone()), (acknowledged.len(), json!(SERVERS * EACH)));
    let there: HashSet<_> = there.iter().filter_map(Value::as_str).collect();
    assert!(acknowledged.iter().all(|content| there.contains(content.as_str())), "something is lost");
    let health = agent.call("memory_health", json!({})).expect("a health");
    assert_eq!(health["figures"]["words_are_true"], true, "{health}");
}
