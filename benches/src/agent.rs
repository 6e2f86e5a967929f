//! A server of the Model Context Protocol, and its client: a line each way.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{Result, rival::Rival};

/// A server, and its client.
pub(crate) struct Agent {
    server: Rival,
    asked: u64,
}

impl Agent {
    /// Starts a server, until it is ready for calls.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        // A server that logs would wait for somebody to read it.
        command.stderr(Stdio::null());
        let mut agent = Self { server: Rival::start(command)?, asked: 0 };
        let client = json!({ "name": "bench", "version": "1" });
        let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
        agent.ask("initialize", &hello)?;
        agent.server.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string())?;
        Ok(agent)
    }

    /// Asks, and waits for the answer; what else the server has to say is passed over.
    pub(crate) fn ask(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        self.asked += 1;
        let request = json!({ "jsonrpc": "2.0", "id": self.asked, "method": method, "params": parameters });
        self.server.say(&request.to_string())?;
        loop {
            let answer: Value = serde_json::from_str(&self.server.hear()?)?;
            if answer["id"] != self.asked {
                continue;
            }
            if answer["result"].is_null() || answer["result"]["isError"] == true {
                return Err(format!("{method} is answered with {answer}").into());
            }
            return Ok(answer);
        }
    }

    /// Calls a tool; its answer, as a program gets it.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value> {
        let answer = self.ask("tools/call", &json!({ "name": tool, "arguments": arguments }))?;
        Ok(answer["result"]["structuredContent"].clone())
    }
}
