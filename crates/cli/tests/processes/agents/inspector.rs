//! The MCP inspector's command line as a client: it checks tools and answers by its own schemas. It speaks the protocol with
//! a session (`legacy`), and the one without (`modern`).

use std::process::Command;

use dbmux_testkit::{DbtProject, Kind, Place, node_packages};
use serde_json::{Value, json};

use super::{agent::failure, official::Http};

on_each_engine_with_sql!(
    the_inspector_finds_no_fault_with_what_is_offered,
    the_inspector_calls_tools,
    the_inspector_is_told_what_went_wrong,
    the_inspector_uses_a_server_over_http,
);

/// What it exits with where it is not let in.
const NOT_LET_IN: Option<i32> = Some(3);
/// What it exits with where a tool has failed.
const TOOL_FAILED: Option<i32> = Some(5);

const PROTOCOLS: [&str; 2] = ["legacy", "modern"];

/// The database's schema: its name is that of its file.
const SCHEMA: &str = "dbmux://database/a/schema";

/// Some tools of each kind that there is.
const KNOWN: [&str; 12] = [
    "query",
    "execute",
    "export",
    "list_databases",
    "list_tables",
    "describe_table",
    "lock_status",
    "who_holds",
    "get_concurrent_access_stats",
    "memory_store",
    "get_project_info",
    "build_models",
];

/// What it came to.
struct Answer {
    code: Option<i32>,
    result: Value,
    errors: String,
}

impl Answer {
    fn good(self) -> Value {
        assert_eq!(self.code, Some(0), "{}{}", self.result, self.errors);
        self.result
    }

    /// The failure's code, which a tool answered with.
    fn bad(self) -> String {
        assert_eq!((self.code, &self.result["isError"]), (TOOL_FAILED, &json!(true)), "{}{}", self.result, self.errors);
        let code = failure(&self.result)["code"].as_str().expect("a code").to_owned();
        let text = self.result["content"][0]["text"].as_str().expect("a text");
        assert!(text.starts_with(&code) && self.result["structuredContent"].is_null(), "{}", self.result);
        code
    }
}

/// Runs the inspector, which `testkit/node/install.sh` has installed, to its end.
fn inspects(place: &Place, arguments: &[&str]) -> Answer {
    let program = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js";
    let mut client = Command::new("node");
    place.set_up(&mut client);
    client.arg(node_packages().join(program)).args(["--cli", "--format", "json"]).args(arguments);
    let output = client.output().expect("node starts");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    Answer { code: output.status.code(), result: said["result"].clone(), errors }
}

fn binary(place: &Place) -> &str {
    place.binary().to_str().expect("a path of text")
}

/// Asks a server that it starts itself.
fn asks(place: &Place, kind: Kind, arguments: &[&str]) -> Answer {
    inspects(place, &[&[binary(place), "mcp", "--db", kind.file()], arguments].concat())
}

/// Has a tool called that takes SQL.
fn calls(place: &Place, kind: Kind, tool: &str, sql: &str) -> Answer {
    let sql = format!("sql={sql}");
    asks(place, kind, &["--method", "tools/call", "--tool-name", tool, "--tool-arg", &sql])
}

fn each<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().expect("a list").iter().map(|one| one[field].as_str().unwrap_or_default()).collect()
}

fn the_inspector_finds_no_fault_with_what_is_offered(kind: Kind) {
    let (place, project) = (Place::new(env!("CARGO_BIN_EXE_dbmux")), DbtProject::new());
    let (file, root) = (kind.file(), project.root().display().to_string());
    let server = [binary(&place), "mcp", "--db", file, "--exports", ".", "--memory", "m.db", "--dbt", &root];
    for protocol in PROTOCOLS {
        // Strict: it fails where a schema has an error that some client stumbles over.
        let list = ["--protocol-era", protocol, "--strict", "--method", "tools/list"];
        let tools = inspects(&place, &[&server[..], &list].concat()).good()["tools"].take();
        let names = each(&tools, "name");
        assert!(KNOWN.iter().all(|known| names.contains(known)), "{names:?}");
        for tool in tools.as_array().expect("a list") {
            assert!(tool["description"].as_str().is_some_and(|text| text.len() > 30), "{tool}");
            for schema in ["inputSchema", "outputSchema"] {
                assert_eq!(tool[schema]["type"], "object", "{tool}");
            }
        }
    }
    let resources = asks(&place, kind, &["--method", "resources/list"]).good();
    assert_eq!(each(&resources["resources"], "uri"), [SCHEMA]);
    let prompts = asks(&place, kind, &["--method", "prompts/list"]).good();
    assert_eq!(each(&prompts["prompts"], "name"), ["database_is_locked"]);
    assert!(place.brokers().is_empty() && !place.path(file).exists(), "nothing was asked of it");
}

fn the_inspector_calls_tools(kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let made = calls(&place, kind, "execute", "create table t (a integer)").good();
    assert_eq!(made["structuredContent"]["database"], "a", "{made}");
    for protocol in PROTOCOLS {
        let call = ["--method", "tools/call", "--tool-name", "query", "--tool-arg", "sql=select 42 as answer"];
        let found = asks(&place, kind, &[&["--protocol-era", protocol][..], &call].concat()).good();
        let content = &found["structuredContent"];
        assert_eq!((&content["rows"], &content["columns"][0]["name"]), (&json!([[42]]), &json!("answer")), "{found}");
        assert_eq!(found["isError"], false, "{found}");
    }
    let read = asks(&place, kind, &["--method", "resources/read", "--uri", SCHEMA]).good();
    let text = read["contents"][0]["text"].as_str().expect("a text");
    assert!(text.starts_with("CREATE TABLE t"), "{text}");
    let prompt = ["--method", "prompts/get", "--prompt-name", "database_is_locked"];
    let prompt = asks(&place, kind, &prompt).good();
    let text = prompt["messages"][0]["content"]["text"].as_str().expect("a text");
    assert!(text.contains("broker: pid "), "{text}");
}

fn the_inspector_is_told_what_went_wrong(kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    assert_eq!(calls(&place, kind, "query", "select 1").bad(), "NO_SUCH_DATABASE");
    calls(&place, kind, "execute", "create table t as select 1 as a").good();
    assert_eq!(calls(&place, kind, "query", "delete from t").bad(), "READ_ONLY");
    assert_eq!(calls(&place, kind, "query", "selec 1").bad(), "SQL");
    // It takes this for a number, and says so to the tool.
    assert_eq!(calls(&place, kind, "query", "5").bad(), "INVALID_ARGUMENT");
    let nothing = asks(&place, kind, &["--method", "tools/call", "--tool-name", "query"]);
    assert_eq!(nothing.bad(), "INVALID_ARGUMENT");
    let left = calls(&place, kind, "query", "select count(*) from t").good();
    assert_eq!(left["structuredContent"]["rows"], json!([[1]]), "{left}");
    let unread = asks(&place, kind, &["--method", "resources/read", "--uri", "dbmux://database/none/schema"]);
    assert_eq!(unread.code, Some(1), "{}{}", unread.result, unread.errors);
}

fn the_inspector_uses_a_server_over_http(kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let server = Http::start(&place, &place.path(kind.file()));
    let token = std::fs::read_to_string(&server.token).expect("the token");
    let token = format!("Authorization: Bearer {}", token.trim());
    // It is to ask nobody for a token in a browser.
    let http = ["--transport", "http", "--server-url", &server.url, "--stored-auth-only"];
    let ask = |more: &[&str]| inspects(&place, &[&http[..], more].concat());
    for header in [&[][..], &["--header", "Authorization: Bearer no"]] {
        let answer = ask(&[header, &["--method", "tools/list"]].concat());
        assert_eq!(answer.code, NOT_LET_IN, "{}{}", answer.result, answer.errors);
    }
    let call = |tool: &str, sql: &str, protocol: &str| {
        let sql = format!("sql={sql}");
        let header = ["--header", &token, "--protocol-era", protocol];
        ask(&[&header[..], &["--method", "tools/call", "--tool-name", tool, "--tool-arg", &sql]].concat())
    };
    call("execute", "create table t as select 42 as answer", "legacy").good();
    for protocol in PROTOCOLS {
        let found = call("query", "select answer from t", protocol).good();
        assert_eq!(found["structuredContent"]["rows"], json!([[42]]), "{found}");
        assert_eq!(call("query", "delete from t", protocol).bad(), "READ_ONLY");
    }
}
