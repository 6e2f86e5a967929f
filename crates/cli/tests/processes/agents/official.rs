//! The official SDKs as clients, over both transports.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
};

use dbmux_testkit::{Kind, Place, node_packages, python};

on_each_engine_with_sql!(
    the_python_sdk_uses_a_server_over_stdio,
    the_python_sdk_uses_a_server_over_http,
    the_typescript_sdk_uses_a_server_over_stdio,
    the_typescript_sdk_uses_a_server_over_http,
);

/// A server over HTTP, until this is dropped.
pub(super) struct Http {
    server: Child,
    pub(super) url: String,
    /// The file that has it.
    pub(super) token: String,
    /// It may go on to tell things.
    _errors: BufReader<ChildStderr>,
}

impl Http {
    pub(super) fn start(place: &Place, database: &Path) -> Self {
        let mut command = place.dbmux(["mcp", "--http", "127.0.0.1:0", "--db"]);
        let mut server = command.arg(database).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let mut errors = BufReader::new(server.stderr.take().expect("its errors"));
        errors.read_line(&mut line).expect("a line");
        let told = line.trim().strip_prefix("serving ").and_then(|rest| rest.split_once("; the token is in "));
        let (url, token) = told.unwrap_or_else(|| panic!("it says {line:?}"));
        Self { server, url: url.to_owned(), token: token.to_owned(), _errors: errors }
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Runs a client's script to its end, in which everything is checked.
pub(super) fn runs(place: &Place, mut client: Command) {
    place.set_up(&mut client);
    let output = client.output().expect("the client starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "{\"ok\": true}", "{errors}");
}

/// The TypeScript SDK's, with what `testkit/node/install.sh` has installed.
pub(super) fn node_client(script: &str) -> Command {
    let mut client = Command::new("node");
    client.env("NODE_PATH", node_packages());
    client.arg(format!("{}/tests/processes/agents/{script}", env!("CARGO_MANIFEST_DIR")));
    client
}

/// The Python SDK's. What it imports from beside it is not compiled there.
pub(super) fn python_client(script: &str) -> Command {
    let mut client = Command::new(python());
    client.arg("-B").arg(format!("{}/tests/processes/agents/{script}", env!("CARGO_MANIFEST_DIR")));
    client
}

/// `duck.duckdb`, `lite.sqlite`: the script goes by the names.
fn database(place: &Place, kind: Kind) -> PathBuf {
    place.path(if kind == Kind::DuckDb { "duck.duckdb" } else { "lite.sqlite" })
}

fn the_python_sdk_uses_a_server_over_stdio(kind: Kind) {
    over_stdio(python_client("official.py"), kind);
}

fn the_python_sdk_uses_a_server_over_http(kind: Kind) {
    over_http(python_client("official.py"), kind);
}

fn the_typescript_sdk_uses_a_server_over_stdio(kind: Kind) {
    over_stdio(node_client("official.mjs"), kind);
}

fn the_typescript_sdk_uses_a_server_over_http(kind: Kind) {
    over_http(node_client("official.mjs"), kind);
}

fn over_stdio(mut client: Command, kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    client.arg("stdio").arg(place.binary()).arg(database(&place, kind));
    runs(&place, client);
}

fn over_http(mut client: Command, kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let database = database(&place, kind);
    let server = Http::start(&place, &database);
    client.arg("http").args([&server.url, &server.token]).arg(database);
    runs(&place, client);
}

#[test]
fn over_http_nobody_is_served_without_the_token() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let server = Http::start(&place, &place.path("lite.sqlite"));
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&server.token).expect("it is there").permissions());
    assert_eq!(mode & 0o777, 0o600);
    let ask = |headers: &[&str]| {
        let script = "import sys, urllib.request, urllib.error\n\
             request = urllib.request.Request(sys.argv[1], headers=dict(header.split(': ', 1) for header in sys.argv[2:]))\n\
             try:\n  print(urllib.request.urlopen(request).status)\n\
             except urllib.error.HTTPError as error:\n  print(error.code)";
        let output =
            Command::new(python()).args(["-c", script, &server.url]).args(headers).output().expect("Python starts");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let token = std::fs::read_to_string(&server.token).expect("the token");
    let token = format!("Authorization: Bearer {}", token.trim());
    assert_eq!(ask(&[]), "401");
    assert_eq!(ask(&["Authorization: Bearer no"]), "401");
    assert_eq!(ask(&[&token[..token.len() - 1]]), "401");
    // With it, what is no message is refused for that.
    assert_eq!(ask(&[&token]), "406");
    // A page in a browser is no client, even with the token.
    assert_eq!(ask(&[&token, "Origin: http://evil.example", "Accept: application/json, text/event-stream"]), "403");
    assert!(place.brokers().is_empty(), "nothing was asked of the database");
}
