//! `lock_status`: who owns, has and waits for each database, and for the dbt project.

use std::sync::Arc;

use dbmux_client::{Holder, lock_holder};
use dbmux_dbt::Whom;
use dbmux_lock::TicketInfo;
use dbmux_report::{parts, person, who};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::holders::{Of, objects};
use crate::{
    call::Call,
    databases::{Database, Databases},
    dbt::Dbt,
    failure::Failure,
    reply::Reply,
    server::Shared,
};

/// Every database that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Locks {
    databases: Vec<Status>,
    /// The dbt project, where there is one.
    project: Option<ProjectLock>,
}

/// Who runs dbt in the project.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProjectLock {
    directory: String,
    /// `free`; `held`: dbt runs, by dbmux; `foreign`: dbt runs that was started without it; `unknown`.
    state: String,
    /// Why it could not be looked at.
    error: Option<String>,
    /// Who runs dbt, each with `pid`, `command`, `since`.
    holders: Vec<Map<String, Value>>,
    /// Who waits to: the first one is next. Requests that wait in the project's runner stand behind it, and are not here.
    queue: Vec<Waits>,
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
        let status = call.unless_cancelled(async { Ok(status(&database).await) }).await?;
        // One that cannot be looked at does not hide the others.
        let status = status.unwrap_or_else(|failure| Status::unknown(&database, &failure));
        text.push_str(&status.text());
        databases.push(status);
    }
    let project = match &shared.dbt {
        Some(dbt) if asked.database.is_none() => Some(project_lock(dbt, &call).await?),
        _ => None,
    };
    text.push_str(&project.as_ref().map_or(String::new(), ProjectLock::text));
    Ok(Reply::new(text, Locks { databases, project }))
}

/// Looks at the dbt project's lock, and for a dbt that was started without dbmux.
pub(super) async fn project_lock(dbt: &Arc<Dbt>, call: &Call) -> Result<ProjectLock, Failure> {
    let dbt = Arc::clone(dbt);
    let looking = tokio::task::spawn_blocking(move || look_at_project(&dbt));
    let found = call.unless_cancelled(async { Ok(looking.await) }).await?;
    let found = found.map_err(|error| Failure::system("a thread", &error.into()))?;
    Ok(found.unwrap_or_else(|failure| ProjectLock {
        directory: String::new(),
        state: "unknown".to_owned(),
        error: Some(failure.message().to_owned()),
        holders: Vec::new(),
        queue: Vec::new(),
    }))
}

fn look_at_project(dbt: &Dbt) -> Result<ProjectLock, Failure> {
    let (project, lock) = dbt.lock()?;
    let told = |ticket: &TicketInfo| objects(&Value::from(vec![parts::holder(&lock_holder(ticket))]));
    let mut holders: Vec<_> = lock.holders.iter().flat_map(told).collect();
    let mut state = if holders.is_empty() { "free" } else { "held" };
    if holders.is_empty() {
        let found = dbt.search(&project).look()?;
        let foreign = found.in_the_way().map(|find| parts::holder(&Holder::from(&Whom::from(find)))).collect();
        holders = objects(&Value::Array(foreign));
        state = if holders.is_empty() { "free" } else { "foreign" };
    }
    let waits = |(index, ticket): (usize, &TicketInfo)| Waits {
        place: index + 1,
        pid: Some(ticket.process.pid),
        command: person::one_line(&ticket.command),
        sql: None,
        waiting_s: ticket.age().as_secs_f64(),
    };
    Ok(ProjectLock {
        directory: project.root.display().to_string(),
        state: state.to_owned(),
        error: None,
        holders,
        queue: lock.waiters.iter().enumerate().map(waits).collect(),
    })
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
        self.queue.iter().for_each(|waits| text.push_str(&waits.line("the file")));
        text
    }
}

impl Waits {
    fn line(&self, usual: &str) -> String {
        let Self { place, command, sql, waiting_s, .. } = self;
        format!("  {place}. waits for {waiting_s:.1} s: {command}: {}\n", sql.as_deref().unwrap_or(usual))
    }
}

impl ProjectLock {
    pub(super) fn text(&self) -> String {
        let of = |holder: &Map<String, Value>| format!("pid {}: {}", holder["pid"], holder["command"]);
        let holders: Vec<_> = self.holders.iter().map(of).collect();
        let mut text = match (&self.error, self.state.as_str()) {
            (Some(error), _) => format!("dbt: unknown: {error}\n"),
            (None, "free") => "dbt: nobody runs it in this project\n".to_owned(),
            (None, _) => format!("dbt: run by {}\n", holders.join(", ")),
        };
        self.queue.iter().for_each(|waits| text.push_str(&waits.line("its turn")));
        text
    }
}
