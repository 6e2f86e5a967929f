//! `dbmux status`: what a broker is doing; without a database, every broker of this user.

use std::io::Write;

use dbmux_report::status::{for_person, for_program, is_silent, state};
use serde_json::{Value, json};

use crate::{
    args::StatusArgs,
    exit::Exit,
    failure::Failure,
    render::{self, person, table},
};

/// Shows it.
pub(crate) fn run(args: &StatusArgs) -> Result<Exit, Failure> {
    let Some(database) = &args.database else { return all(args.json) };
    let client = super::onlooker(database)?;
    let status = super::block_on(async { Ok(client.status().await?) })?;
    let mut out = render::report_output();
    match (&status, args.json) {
        (Some(status), true) => writeln!(out, "{}", for_program(status))?,
        (Some(status), false) => write!(out, "{}", for_person(status))?,
        (None, true) => {
            let report = json!({ "database": client.database(), "pid": null, "socket": null, "state": "no_broker" });
            writeln!(out, "{report}")?;
        }
        (None, false) => writeln!(out, "no broker serves {}", client.database().display())?,
    }
    Ok(Exit::Done)
}

fn all(json: bool) -> Result<Exit, Failure> {
    let brokers = super::block_on(async { Ok(dbmux_client::brokers().await?) })?;
    let mut out = render::report_output();
    if json {
        let brokers: Vec<_> = brokers.iter().map(for_program).collect();
        writeln!(out, "{}", Value::from(brokers))?;
        return Ok(Exit::Done);
    }
    if brokers.is_empty() {
        writeln!(out, "no broker runs")?;
        return Ok(Exit::Done);
    }
    let mut table = table::frame(None);
    table.set_header(["database", "pid", "state", "sessions", "running", "queued", "up", "memory"]);
    for broker in &brokers {
        let who = [broker.database_path.clone(), broker.pid.to_string(), state(broker).to_owned()];
        if is_silent(broker) {
            table.add_row(who);
            continue;
        }
        let does = [
            broker.sessions.len().to_string(),
            broker.running.len().to_string(),
            broker.queued.len().to_string(),
            person::millis(broker.uptime_ms),
            person::bytes(broker.memory_bytes),
        ];
        table.add_row(who.into_iter().chain(does));
    }
    writeln!(out, "{table}")?;
    Ok(Exit::Done)
}
