//! An agent gives up a dbt tool: dbt ends, and nobody keeps the project or its database.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use dbmux_testkit::{dbt_python, until};
use serde_json::{Value, json};

use super::{
    agent::Agent,
    dbt::{agent, calls},
};
use crate::dbt::shop::Shop;

/// How long anything may take that has nobody to wait for.
const SOON: Duration = Duration::from_secs(30);

/// Asks for a model, and to be told how it goes. The request's number.
fn builds(agent: &mut Agent, model: &str) -> u64 {
    let call = json!({ "name": "build_models", "arguments": { "select": model }, "_meta": { "progressToken": model } });
    agent.send("tools/call", call)
}

/// Reads what the agent is told, until it is this.
fn until_told(agent: &mut Agent, what: &str) {
    loop {
        let news = agent.next().expect("the server is there");
        assert_eq!(news["method"], "notifications/progress", "{news}");
        if news["params"]["message"].as_str().is_some_and(|text| text.contains(what)) {
            return;
        }
    }
}

fn gives_up(agent: &mut Agent, request: u64) {
    let which = json!({ "requestId": request, "reason": "it takes too long" });
    agent.say(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": which }));
}

/// An agent that has dbt build a model without end, and the number of its request.
fn at_work(shop: &Shop) -> (Agent, u64) {
    shop.with_endless_model();
    let mut agent = agent(shop, &[]);
    let request = builds(&mut agent, "endless");
    until_told(&mut agent, "START sql table model main.endless");
    let database = shop.project.database();
    until("dbt has the database", || !dbmux_os::holders::holders_of(&database).unwrap_or_default().is_empty());
    (agent, request)
}

/// A short model is built at once, and whoever comes then has the database.
fn goes_on(shop: &Shop, agent: &mut Agent) {
    let began = Instant::now();
    let built = calls(agent, "build_models", json!({ "select": "m_1" }));
    assert_eq!((&built["success"], &built["counts"]), (&json!(true), &json!({ "success": 1 })), "{built:#}");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    let opens = "import duckdb, sys\n\
         print(duckdb.connect(sys.argv[1]).execute('select table_name from duckdb_tables() order by 1').fetchall())";
    let foreign = Command::new(dbt_python()).args(["-c", opens, &shop.database()]).output().expect("Python starts");
    let errors = String::from_utf8_lossy(&foreign.stderr);
    assert_eq!(String::from_utf8_lossy(&foreign.stdout).trim(), "[('m_1',)]", "{errors}");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

/// An answer to this request, among what the agent has heard by the way.
fn answered(agent: &Agent, request: u64) -> Option<&Value> {
    agent.heard.iter().find(|message| message["id"] == request)
}

#[test]
fn a_model_that_is_given_up_ends_and_keeps_nobody_waiting() {
    let shop = Shop::new();
    let (mut agent, request) = at_work(&shop);
    gives_up(&mut agent, request);
    goes_on(&shop, &mut agent);
    assert_eq!(answered(&agent, request), None, "nobody asks for it any more");
}

#[test]
fn an_agent_that_waits_for_dbt_gives_up_alone() {
    let shop = Shop::new();
    let (mut agent, request) = at_work(&shop);
    let (mut other, mut third) = (self::agent(&shop, &[]), self::agent(&shop, &[]));
    let waits = builds(&mut other, "m_2");
    until_told(&mut other, "waiting for ");
    let next = builds(&mut third, "m_1");
    until_told(&mut third, ", 1 ahead of you");
    gives_up(&mut other, waits);
    let news = third.next().expect("the server is there");
    let told = news["params"]["message"].as_str().unwrap_or_default();
    assert!(told.starts_with("waiting for dbmux mcp for the test: dbt build --select endless"), "{news}");
    assert!(!told.contains("ahead"), "{news}");
    gives_up(&mut agent, request);
    let built = third.answer(next)["structuredContent"].take();
    assert_eq!((&built["success"], &built["lock"]["together"]), (&json!(true), &json!(1)), "{built:#}");
    for mut agent in [agent, other] {
        goes_on(&shop, &mut agent);
    }
}
