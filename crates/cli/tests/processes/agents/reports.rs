//! Figures that agents and people are told alike.

use dbmux_testkit::Place;
use serde_json::json;

use super::agent::Agent;

#[test]
fn sixty_acquisitions_of_three_processes_are_sixty() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert!(place.run(["lock", "./a.sqlite", "--", "true"]).status.success());
                }
            });
        }
    });
    let mut agent = Agent::start(&place, &["--db", "a.sqlite"]);
    let figures = agent.call("get_concurrent_access_stats", json!({})).expect("figures");
    assert_eq!((&figures["total_acquisitions"], &figures["failed_acquisitions"]), (&json!(60), &json!(0)), "{figures}");
    let answer = agent.ask("tools/call", json!({ "name": "get_concurrent_access_stats", "arguments": {} }));
    let told = answer["content"][0]["text"].as_str().expect("a text");
    assert!(told.starts_with("=== Concurrent Access Statistics ===\nTotal lock acquisitions: 60\n"), "{told}");
    let shown = place.run(["stats", "a.sqlite", "--text"]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout), told);
}

#[test]
fn the_server_is_written_into_a_program_s_configuration() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let install = |arguments: &[&str]| {
        let output = place.run(["mcp", "install"].iter().chain(arguments));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let shown = install(&["cursor", "--project", "--db", "a.sqlite", "--print"]);
    let file = place.path(".cursor/mcp.json");
    assert!(!file.exists(), "it was only to be shown");
    assert!(shown.contains("\"mcp\""), "{shown}");
    install(&["cursor", "--project", "--db", "a.sqlite", "--read-only"]);
    let text = std::fs::read_to_string(&file).expect("it is written");
    let written: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let server = &written["mcpServers"]["dbmux"];
    let database = place.path("a.sqlite");
    assert_eq!(server["args"], json!(["mcp", "--db", database, "--read-only"]), "{written}");
    // What is written there is a server.
    let arguments: Vec<_> = server["args"].as_array().expect("a list").iter().filter_map(|one| one.as_str()).collect();
    assert_eq!(server["command"], json!(place.binary().canonicalize().expect("it is there")), "{written}");
    let tools = Agent::start(&place, &arguments[1..]).ask("tools/list", json!({}));
    assert!(tools["tools"].as_array().is_some_and(|tools| !tools.is_empty()), "{tools}");
    assert!(install(&["cursor", "--project", "--db", "a.sqlite", "--read-only"]).contains("has it already"));
}
