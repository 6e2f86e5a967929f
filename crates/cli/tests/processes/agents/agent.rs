//! An agent's program, as far as the protocol goes: it starts a server, and speaks to it line by line.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use dbmux_testkit::Place;
use serde_json::{Value, json};

/// A server, and its client.
pub(super) struct Agent {
    pub(super) server: Child,
    input: Option<ChildStdin>,
    output: Option<BufReader<ChildStdout>>,
    asked: u64,
    /// Notifications that came while an answer was waited for.
    pub(super) heard: Vec<Value>,
}

impl Agent {
    /// Starts a server with these arguments.
    pub(super) fn start(place: &Place, arguments: &[&str]) -> Self {
        Self::of(place.dbmux(["mcp"].iter().chain(arguments)))
    }

    /// Starts this command, which is a server.
    pub(super) fn of(mut command: std::process::Command) -> Self {
        let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let (input, output) = (server.stdin.take(), server.stdout.take().expect("its output"));
        let mut agent = Self { server, input, output: Some(BufReader::new(output)), asked: 0, heard: Vec::new() };
        let client = json!({ "name": "the test", "version": "1" });
        let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
        let answer = agent.ask("initialize", hello);
        assert_eq!(answer["serverInfo"]["name"], "dbmux", "{answer}");
        agent.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        agent
    }

    /// Sends a request, and does not wait for its answer. Its number.
    pub(super) fn send(&mut self, method: &str, parameters: Value) -> u64 {
        self.asked += 1;
        let id = self.asked;
        self.say(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters }));
        id
    }

    /// Waits for the answer to a request.
    pub(super) fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.next().expect("the server answers");
            if message["id"] == id {
                assert!(message["error"].is_null(), "{message}");
                return message["result"].clone();
            }
            self.heard.push(message);
        }
    }

    /// The next message; `None`: the server has ended.
    pub(super) fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        let length = self.output.as_mut().expect("it is open").read_line(&mut line).expect("a line");
        (length > 0).then(|| serde_json::from_str(&line).expect("only messages are on standard output"))
    }

    pub(super) fn ask(&mut self, method: &str, parameters: Value) -> Value {
        let id = self.send(method, parameters);
        self.answer(id)
    }

    /// Calls a tool: what it answers, or its failure.
    pub(super) fn call(&mut self, tool: &str, arguments: Value) -> Result<Value, Value> {
        let answer = self.ask("tools/call", json!({ "name": tool, "arguments": arguments }));
        if answer["isError"] == true { Err(failure(&answer).clone()) } else { Ok(answer["structuredContent"].clone()) }
    }

    pub(super) fn say(&mut self, message: &Value) {
        let input = self.input.as_mut().expect("it is open");
        writeln!(input, "{message}").expect("the server reads");
    }

    /// Closes the server's output, and leaves its input open.
    pub(super) fn stops_reading(&mut self) {
        self.output = None;
    }

    /// Closes the server's input: the client goes away.
    pub(super) fn goes_away(&mut self) {
        self.input = None;
    }
}

/// Why a tool failed, for a program.
pub(super) fn failure(answer: &Value) -> &Value {
    &answer["_meta"]["dbmux/failure"]
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.input = None;
        // It ends by itself; one that does not must not outlive its test.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
