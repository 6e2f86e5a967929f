//! What a broker is doing.

use dbmux_client::{Client, Holder, StatementKind, StatementState, StatusReply};
use dbmux_lock::Snapshot;
use dbmux_proto::{BrokerState, Priority, SessionStatus, StatementStatus};
use serde_json::{Value, json};

use crate::{parts, person};

/// A broker that says nothing, as far as it is known: it has the owner lock.
pub fn silent(client: &Client, owner: &Snapshot) -> Option<StatusReply> {
    let ticket = owner.holders.first()?;
    Some(StatusReply {
        database_path: client.database().display().to_string(),
        pid: if ticket.same_namespace { ticket.process.pid } else { 0 },
        socket: client.socket().display().to_string(),
        ..StatusReply::default()
    })
}

/// The broker is there, and has not said how it is.
pub fn is_silent(status: &StatusReply) -> bool {
    status.state() == BrokerState::Unspecified
}

/// Its process is stopped.
pub fn is_stopped(status: &StatusReply) -> bool {
    dbmux_os::process::info(status.pid).is_ok_and(|seen| seen.stopped)
}

/// `attached`, `released`, `leased`, `draining`; `stopped` or `not_answering` of one that says nothing.
pub fn state(status: &StatusReply) -> &'static str {
    match status.state() {
        BrokerState::Attached => "attached",
        BrokerState::Released => "released",
        BrokerState::Leased => "leased",
        BrokerState::Draining => "draining",
        BrokerState::Unspecified if is_stopped(status) => "stopped",
        BrokerState::Unspecified => "not_answering",
    }
}

/// A broker's status for a person, in lines.
pub fn for_person(status: &StatusReply) -> String {
    let protocol = status.protocol.unwrap_or_default();
    let read_only = if status.read_only { ", read-only" } else { "" };
    let workers = if status.serial {
        "one statement at a time (--serial)".to_owned()
    } else {
        format!("{} ({} to {})", status.workers, status.workers_min, status.workers_max)
    };
    let mut text = String::new();
    let mut line = |label: &str, value: String| text.push_str(&format!("{label:<10}{value}\n"));
    line("database", status.database_path.clone());
    line("engine", format!("{} {}, catalog {}", status.engine, status.engine_version, status.catalog));
    line(
        "broker",
        format!("pid {}, dbmux {}, protocol {}.{}", status.pid, status.version, protocol.major, protocol.minor),
    );
    line("socket", status.socket.clone());
    let as_of = if status.as_of.is_empty() { String::new() } else { format!(", reads are of {}", status.as_of) };
    line("state", format!("{}{read_only}{as_of}", state(status)));
    line("up", format!("{}, {}", person::millis(status.uptime_ms), person::bytes(status.memory_bytes)));
    line(
        "releases",
        format!(
            "after {} idle; ends after {} without sessions",
            person::millis(status.release_after_ms),
            person::millis(status.idle_exit_ms)
        ),
    );
    line("workers", workers);
    line("queue", format!("{} of {}", status.queued.len(), status.queue_limit));
    for (name, value) in &status.settings {
        line("setting", format!("{name} = {value}"));
    }
    for holder in one_each(&status.holders) {
        line("held by", person::holder(holder));
    }
    for session in &status.sessions {
        line("session", session_line(session));
    }
    for statement in &status.running {
        line("running", statement_line(statement));
    }
    for statement in &status.queued {
        line("queued", statement_line(statement));
    }
    text
}

fn session_line(session: &SessionStatus) -> String {
    let transaction = if session.in_transaction { ", in a transaction" } else { "" };
    format!(
        "{}  {}   (pid {}, {}, {}, idle {}{transaction})",
        session.name,
        person::one_line(&session.command),
        session.pid,
        session.user,
        person::counted(session.statements, "statement"),
        person::millis(session.idle_ms),
    )
}

fn statement_line(statement: &StatementStatus) -> String {
    let progress = if statement.progress > 0.0 { format!(", {:.0} %", statement.progress) } else { String::new() };
    format!(
        "{}  {}   ({}, {}{progress}, pid {})",
        statement.session,
        person::one_line(&statement.sql),
        kind(statement.kind()),
        person::millis(statement.elapsed_ms),
        statement.pid,
    )
}

/// One entry a process: it may hold the database and its log.
fn one_each(holders: &[Holder]) -> Vec<&Holder> {
    let mut each: Vec<&Holder> = Vec::new();
    for holder in holders {
        if !each.iter().any(|known| known.pid == holder.pid && known.kind == holder.kind) {
            each.push(holder);
        }
    }
    each
}

fn kind(kind: StatementKind) -> &'static str {
    match kind {
        StatementKind::Read => "read",
        StatementKind::Write => "write",
        StatementKind::Exclusive => "exclusive",
        StatementKind::Unspecified => "unknown",
    }
}

/// A broker's status as one object; without what a broker that says nothing does not tell.
pub fn for_program(status: &StatusReply) -> Value {
    if is_silent(status) {
        return json!({
            "database": status.database_path,
            "pid": (status.pid != 0).then_some(status.pid),
            "socket": status.socket,
            "state": state(status),
        });
    }
    let protocol = status.protocol.unwrap_or_default();
    json!({
        "database": status.database_path,
        "engine": status.engine,
        "engine_version": status.engine_version,
        "catalog": status.catalog,
        "version": status.version,
        "protocol": format!("{}.{}", protocol.major, protocol.minor),
        "pid": status.pid,
        "socket": status.socket,
        "state": state(status),
        "read_only": status.read_only,
        "as_of": (!status.as_of.is_empty()).then_some(&status.as_of),
        "uptime_s": parts::seconds(status.uptime_ms),
        "memory_bytes": status.memory_bytes,
        "sessions": status.sessions.iter().map(session).collect::<Vec<_>>(),
        "running": status.running.iter().map(statement).collect::<Vec<_>>(),
        "queued": status.queued.iter().map(statement).collect::<Vec<_>>(),
        "queue_limit": status.queue_limit,
        "workers": status.workers,
        "workers_min": status.workers_min,
        "workers_max": status.workers_max,
        "serial": status.serial,
        "holders": status.holders.iter().map(parts::holder).collect::<Vec<_>>(),
        "settings": status.settings,
        "release_after_s": parts::seconds(status.release_after_ms),
        "idle_exit_s": parts::seconds(status.idle_exit_ms),
    })
}

fn session(session: &SessionStatus) -> Value {
    json!({
        "name": session.name,
        "pid": session.pid,
        "command": session.command,
        "user": session.user,
        "in_transaction": session.in_transaction,
        "idle_s": parts::seconds(session.idle_ms),
        "age_s": parts::seconds(session.age_ms),
        "read_only": session.read_only,
        "statements": session.statements,
    })
}

fn statement(statement: &StatementStatus) -> Value {
    let state = match statement.state() {
        StatementState::Queued => "queued",
        StatementState::WaitingForFile => "waiting_for_file",
        StatementState::Running => "running",
        StatementState::Sending => "sending",
        StatementState::Ended => "ended",
        StatementState::Unspecified => "unknown",
    };
    let priority = match statement.priority() {
        Priority::High => "high",
        Priority::Normal | Priority::Unspecified => "normal",
        Priority::Low => "low",
    };
    json!({
        "session": statement.session,
        "pid": statement.pid,
        "command": statement.command,
        "sql": statement.sql,
        "kind": kind(statement.kind()),
        "state": state,
        "priority": priority,
        "elapsed_s": parts::seconds(statement.elapsed_ms),
        "progress": (statement.progress >= 0.0).then_some(statement.progress),
    })
}
