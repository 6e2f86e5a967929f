//! `lock_status`: who owns, has and waits for each database.

use std::sync::Arc;

use dbmux_report::{parts, person, who};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::holders::{Of, objects};
use crate::{
    call::Call,
    databases::{Database, Databases},
    failure::Failure,
    reply::Reply,
    server::Shared,
};

/// Every database that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Locks {
    databases: Vec<Status>,
}

/// A database.
#[derive(Debug, Serialize, JsonSchema)]
struct Status {
    name: String,
    /// `attached`: its broker has the file; `released`: nobody of ours has it; `leased`: it is handed over; `draining`,
    /// `stopped`, `not_answering`; `no_broker`; `unknown`.
    state: String,
    /// Why it could not be looked at.
    error: Option<String>,
    /// The broker's process.
    owner_pid: Option<u32>,
    /// Who has the file, each with `pid`, `command`, `since`, `what` and `advice`.
    holders: Vec<Map<String, Value>>,
    /// Who has it by a lease.
    lease: Option<Map<String, Value>>,
    /// Statements, and processes, that wait: the first one is next.
    queue: Vec<Waits>,
}

/// One who waits.
#[derive(Debug, Serialize, JsonSchema)]
struct Waits {
    /// From 1.
    place: usize,
    pid: Option<u32>,
    command: String,
    /// The statement, where it is one.
    sql: Option<String>,
    /// Seconds.
    waiting_s: f64,
}

pub(super) async fn run(shared: Arc<Shared>, asked: Of, call: Call) -> Result<Reply<Locks>, Failure> {
    let (mut text, mut databases) = (String::new(), Vec::new());
    for database in shared.databases.look_at(asked.database.as_deref())? {
        let status = call.unless_cancelled(async { Ok(status(database).await) }).await?;
        // One that cannot be looked at does not hide the others.
        let status = status.unwrap_or_else(|failure| Status::unknown(database, &failure));
        text.push_str(&status.text());
        databases.push(status);
    }
    Ok(Reply::new(text, Locks { databases }))
}

async fn status(database: &Database) -> Result<Status, Failure> {
    let client = Databases::onlooker(database)?;
    let found = who::look(&client).await?;
    let shown = who::for_program(&found, client.database());
    let broker = &shown["broker"];
    let lock_holders = objects(&shown["file_lock"]["holders"]);
    let lease = lock_holders.into_iter().find(|holder| holder["kind"] == "lease");
    let statements = found.broker.iter().flat_map(|broker| &broker.queued).map(|statement| Waits {
        place: 0,
        pid: Some(statement.pid),
        command: person::one_line(&statement.command),
        sql: Some(person::one_line(&statement.sql)),
        waiting_s: parts::seconds(statement.elapsed_ms),
    });
    let processes = objects(&shown["file_lock"]["waiting"]).into_iter().map(|waiter| Waits {
        place: 0,
        pid: waiter["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()),
        command: person::one_line(waiter["command"].as_str().unwrap_or_default()),
        sql: None,
        waiting_s: waiter["held_s"].as_f64().unwrap_or_default(),
    });
    let mut queue: Vec<_> = processes.chain(statements).collect();
    queue.iter_mut().enumerate().for_each(|(index, waits)| waits.place = index + 1);
    Ok(Status {
        name: database.name.clone(),
        state: broker["state"].as_str().unwrap_or("no_broker").to_owned(),
        error: found.unasked.as_ref().map(ToString::to_string),
        owner_pid: found.broker.as_ref().map(|broker| broker.pid).filter(|pid| *pid != 0),
        holders: objects(&shown["holders"]),
        lease,
        queue,
    })
}

impl Status {
    fn unknown(database: &Database, failure: &Failure) -> Self {
        Self {
            name: database.name.clone(),
            state: "unknown".to_owned(),
            error: Some(failure.message().to_owned()),
            owner_pid: None,
            holders: Vec::new(),
            lease: None,
            queue: Vec::new(),
        }
    }

    fn text(&self) -> String {
        let owner = self.owner_pid.map_or(String::new(), |pid| format!(" by pid {pid}"));
        let mut text = format!("{}: {}{owner}\n", self.name, self.state);
        if let Some(error) = &self.error {
            text.push_str(&format!("  {error}\n"));
        }
        let mut told = Vec::new();
        for holder in &self.holders {
            // One process may have several parts of a database.
            if told.contains(&&holder["pid"]) {
                continue;
            }
            told.push(&holder["pid"]);
            let of = |name: &str| holder.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
            text.push_str(&format!("  held by pid {}: {} ({})\n", holder["pid"], of("command"), of("what")));
        }
        for Waits { place, command, sql, waiting_s, .. } in &self.queue {
            let what = sql.as_deref().unwrap_or("the file");
            text.push_str(&format!("  {place}. waits for {waiting_s:.1} s: {command}: {what}\n"));
        }
        text
    }
}
