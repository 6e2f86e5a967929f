//! Somebody else has the file: agents are told who, wait in line, and may give up.

use dbmux_testkit::{Foreign, Kind, Place, T, until};
use serde_json::json;

use super::agent::{Agent, failure};

on_each_engine_with_sql!(
    an_agent_that_waits_in_vain_is_told_who_has_the_file,
    an_agent_goes_on_when_the_file_is_free,
    an_agent_that_gives_up_has_written_nothing,
);

/// A database that a program without dbmux keeps all others from writing to.
fn held(kind: Kind) -> (Place, Foreign) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let mut foreign = Foreign::of(kind);
    foreign.open(&place.path(kind.file()), false);
    foreign.make(T);
    foreign.close();
    foreign.keep_writers_out(&place.path(kind.file()));
    (place, foreign)
}

/// What a caller was told while he waited.
fn told(agent: &Agent) -> Vec<String> {
    let progress = agent.heard.iter().filter(|message| message["method"] == "notifications/progress");
    progress.map(|message| message["params"]["message"].as_str().unwrap_or_default().to_owned()).collect()
}

fn writes(agent: &mut Agent, wait: f64) -> u64 {
    let arguments = json!({ "sql": "INSERT INTO t VALUES (7)", "wait": wait });
    let call = json!({ "name": "execute", "arguments": arguments, "_meta": { "progressToken": "p" } });
    agent.send("tools/call", call)
}

fn an_agent_that_waits_in_vain_is_told_who_has_the_file(kind: Kind) {
    let (place, foreign) = held(kind);
    let mut agent = Agent::start(&place, &["--db", kind.file()]);
    let id = writes(&mut agent, 1.0);
    let answer = agent.answer(id);
    let failure = failure(&answer);
    assert_eq!((&answer["isError"], &failure["code"]), (&json!(true), &json!("DATABASE_LOCKED")), "{answer}");
    assert_eq!(failure["holder"]["pid"], foreign.pid(), "{answer}");
    assert!(failure["waited_s"].as_f64() >= Some(0.9) && failure["temporary"] == true, "{answer}");
    let text = answer["content"][0]["text"].as_str().expect("a text");
    assert!(text.contains(&foreign.pid().to_string()) && text.contains("hint: "), "{text}");
    let told = told(&agent);
    assert!(told.iter().any(|text| text.contains(&foreign.pid().to_string())), "{told:?}");
    // The looking tools wait for nobody.
    let holders = agent.call("who_holds", json!({})).expect("holders");
    let pids: Vec<_> = holders["holders"].as_array().expect("a list").iter().map(|holder| &holder["pid"]).collect();
    assert!(pids.contains(&&json!(foreign.pid())), "{holders}");
}

fn an_agent_goes_on_when_the_file_is_free(kind: Kind) {
    let (place, mut foreign) = held(kind);
    let mut agent = Agent::start(&place, &["--db", kind.file()]);
    let mut other = Agent::start(&place, &["--db", kind.file()]);
    let id = writes(&mut agent, 30.0);
    // It is told for whom it waits, and the file is free only then.
    loop {
        let news = agent.next().expect("the server is there");
        assert_eq!(news["method"], "notifications/progress", "{news}");
        if news["params"]["message"].as_str().is_some_and(|text| text.contains(&foreign.pid().to_string())) {
            break;
        }
    }
    foreign.let_go();
    let answer = agent.answer(id);
    assert_eq!(answer["structuredContent"]["rows_changed"], json!([1]), "{answer}");
    let waited = &answer["structuredContent"]["waited"];
    assert!(waited["waited_for"].as_str().is_some_and(|who| who.contains(&foreign.pid().to_string())), "{answer}");
    let found = other.call("query", json!({ "sql": "SELECT count(*) FROM t" })).expect("rows");
    assert_eq!(found["rows"], json!([[1]]));
}

fn an_agent_that_gives_up_has_written_nothing(kind: Kind) {
    let (place, mut foreign) = held(kind);
    let mut agent = Agent::start(&place, &["--db", kind.file()]);
    let id = writes(&mut agent, 30.0);
    // It waits in line, or in the engine, which SQLite's own locks are waited for in.
    let is_there = |place: &Place| {
        let status = place.status(kind.file());
        ["queued", "running"].iter().any(|what| status[*what].as_array().is_some_and(|list| !list.is_empty()))
    };
    until("it waits", || is_there(&place));
    agent.say(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } }));
    until("it is given up", || !is_there(&place));
    foreign.let_go();
    let found = agent.call("query", json!({ "sql": "SELECT count(*) FROM t" })).expect("rows");
    assert_eq!(found["rows"], json!([[0]]));
}
