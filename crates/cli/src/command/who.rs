//! `dbmux who`: who has the file, who waits for it, and what to do. Starts nothing, and never opens the file.

use std::{io::Write, path::Path};

use dbmux_client::{ClientError, Holder, HolderKind, StatusReply, lock_holder};
use dbmux_lock::{Lock, LockName, Snapshot, State};
use dbmux_os::{
    holders::{self, Access, FileHolder, Layout, Who},
    process,
};
use serde_json::{Value, json};

use crate::{
    exit::Exit,
    failure::Failure,
    render::{self, person, report},
};

/// All that is known.
struct Report {
    exists: bool,
    holders: Vec<(Holder, Layout)>,
    owner: Option<Snapshot>,
    file: Option<Snapshot>,
    broker: Option<StatusReply>,
}

/// Shows them.
pub(crate) fn run(named: &Path, json: bool) -> Result<Exit, Failure> {
    let client = super::onlooker(named)?;
    let database = client.database();
    let broker = super::block_on(async {
        match client.status().await {
            // Who it is, is seen all the same.
            Err(ClientError::NotAnswering { .. }) => Ok(None),
            Err(error @ ClientError::RuntimeDirectory { .. }) => {
                render::note(&format!("note: no broker was asked: {error}: {}", error.suggestion()));
                Ok(None)
            }
            answer => Ok(answer?),
        }
    })?;
    let sidecar = dbmux_lock::sidecar_path(database);
    let owner = Lock::peek(&sidecar, LockName::Owner)?;
    // One that is stopped, or only starts, says nothing; that it has the owner lock says who it is.
    let broker = broker.or_else(|| super::status::silent(&client, owner.as_ref()?));
    let found = holders::holders_of(database)?;
    let file = Lock::peek(&sidecar, LockName::File)?;
    let report = Report {
        exists: database.exists(),
        holders: found.iter().map(|found| (holder(found, broker.as_ref(), file.as_ref()), found.layout)).collect(),
        owner,
        file,
        broker,
    };
    let mut out = render::report_output();
    if json {
        writeln!(out, "{}", for_program(&report, database))?;
    } else {
        write!(out, "{}", for_person(&report, named))?;
    }
    Ok(Exit::Done)
}

/// Since when it has the file, the kernel does not tell, and a process's age is no answer. It is known of whoever goes by
/// dbmux's file lock, and of whoever a broker waits for and has seen before: as the errors of that broker tell it.
fn holder(found: &FileHolder, broker: Option<&StatusReply>, file: Option<&Snapshot>) -> Holder {
    let mut holder = Holder {
        writes: found.access == Access::Write,
        part: found.part.to_string(),
        lock: found.sqlite.map(|lock| lock.to_string()).unwrap_or_default(),
        ..Holder::default()
    };
    let kind = match &found.who {
        Who::Process(process) => {
            holder.pid = process.id.pid;
            holder.command.clone_from(&process.command);
            holder.user.clone_from(&process.user);
            let mut tickets = file.into_iter().flat_map(|lock| &lock.holders).filter(|ticket| ticket.same_namespace);
            let ticket = tickets.find(|ticket| process::is_inside(process.id.pid, ticket.process));
            if let Some(ticket) = ticket {
                holder.since = humantime::format_rfc3339_seconds(ticket.since).to_string();
                holder.held_ms = u64::try_from(ticket.age().as_millis()).unwrap_or(u64::MAX);
            } else if let Some(seen) = broker.and_then(|broker| seen(broker, holder.pid)) {
                (holder.since, holder.held_ms) = (seen.since.clone(), seen.held_ms);
            }
            let directory = process.working_directory.as_ref();
            holder.working_directory = directory.map(|path| path.display().to_string()).unwrap_or_default();
            holder.stopped = process.stopped;
            let ours = broker.is_some_and(|broker| broker.pid == holder.pid);
            match (ours, ticket) {
                (true, _) => HolderKind::Broker,
                (false, Some(_)) => HolderKind::Lease,
                (false, None) => HolderKind::Process,
            }
        }
        Who::OtherNamespace => HolderKind::OtherNamespace,
        Who::OtherHost => HolderKind::OtherHost,
        Who::Unknown => HolderKind::Unknown,
    };
    holder.set_kind(kind);
    holder
}

/// The same process, as the broker sees it.
fn seen(broker: &StatusReply, pid: u32) -> Option<&Holder> {
    broker.holders.iter().find(|holder| holder.pid == pid && holder.kind() == HolderKind::Process)
}

/// `a program that uses DuckDB, reading and writing`, …
fn kind(holder: &Holder, layout: Layout) -> String {
    let what = match (holder.kind(), layout) {
        (HolderKind::Broker, _) if holder.stopped => {
            return "the dbmux broker; it is stopped, and answers nobody".to_owned();
        }
        (HolderKind::Broker, _) => return "the dbmux broker: it lets everybody in".to_owned(),
        (HolderKind::Lease, _) => return "dbmux has handed the file over to it (dbmux run)".to_owned(),
        (HolderKind::OtherNamespace, _) => "a process in another container, or outside this one",
        (HolderKind::OtherHost, _) => "a process on another host",
        (_, Layout::DuckDb) => "a program with DuckDB, without dbmux",
        (_, Layout::Sqlite) => "a program with SQLite",
        (_, Layout::Other) => "a program that locks a part of the file",
    };
    let does = if holder.writes { "may write" } else { "reads" };
    if holder.lock.is_empty() { format!("{what}; {does}") } else { format!("{what}; {does} ({})", holder.lock) }
}

/// What one can do about it; nothing for a broker that runs, which is in nobody's way.
fn advice(holder: &Holder) -> Option<String> {
    let pid = holder.pid;
    Some(match holder.kind() {
        HolderKind::Broker if holder.stopped => {
            format!("kill -CONT {pid} lets it go on, kill -KILL {pid} ends it: the next statement starts another")
        }
        HolderKind::Broker => return None,
        HolderKind::Lease if holder.stopped => {
            format!("it is stopped, and keeps the file: kill -CONT {pid} lets it go on")
        }
        HolderKind::Lease => "dbmux goes on when it ends".to_owned(),
        HolderKind::OtherNamespace => {
            "look for it from the host, or in the other containers that see this file".to_owned()
        }
        HolderKind::OtherHost => "look for it on the hosts that mount this file system".to_owned(),
        _ if pid == 0 => "ask the system's administrator, who may see it".to_owned(),
        _ if holder.stopped => format!("it is stopped, and keeps the lock: kill -CONT {pid} lets it go on"),
        _ if holder.writes => format!("dbmux waits for it, and goes on when it ends: close it, or kill {pid}"),
        _ => "dbmux reads beside it; writes wait until it ends".to_owned(),
    })
}

fn for_person(report: &Report, database: &Path) -> String {
    let shown = database.display();
    let leases = report.file.iter().flat_map(|file| &file.holders).filter(|ticket| is_lease(report, ticket));
    let leases: Vec<_> = leases.map(|ticket| format!("  {}\n", person::holder(&lock_holder(ticket)))).collect();
    let mut text = if !report.exists {
        format!("{shown} does not exist\n")
    } else if report.holders.is_empty() && !leases.is_empty() {
        format!("{shown} is handed over to\n{}", leases.concat())
    } else if report.holders.is_empty() {
        format!("{shown} is free\n")
    } else {
        format!("{shown} is held by\n")
    };
    for (holder, layout) in &by_process(&report.holders) {
        text.push_str(&format!("  {}\n    {}: {}\n", person::holder(holder), holder.part, kind(holder, *layout)));
        for fact in [&holder.working_directory, &holder.since].into_iter().zip(["in", "since"]) {
            if let (value, label) = fact
                && !value.is_empty()
            {
                text.push_str(&format!("    {label} {value}\n"));
            }
        }
        if let Some(advice) = advice(holder) {
            text.push_str(&format!("    {advice}\n"));
        }
    }
    text.push_str(&dbmux_side(report));
    text
}

/// One entry a process, with all the parts that it holds.
fn by_process(holders: &[(Holder, Layout)]) -> Vec<(Holder, Layout)> {
    let mut processes: Vec<(Holder, Layout)> = Vec::new();
    for (holder, layout) in holders {
        let same = processes.iter_mut().find(|(known, _)| known.pid == holder.pid && known.kind == holder.kind);
        match same {
            Some((known, _)) => {
                known.part = format!("{}, {}", known.part, holder.part);
                known.writes |= holder.writes;
            }
            None => processes.push((holder.clone(), *layout)),
        }
    }
    processes
}

/// The broker, and who waits in dbmux's own lines.
fn dbmux_side(report: &Report) -> String {
    let mut text = match &report.broker {
        Some(broker) if super::status::is_silent(broker) => {
            let stopped = if super::status::is_stopped(broker) { "is stopped, and " } else { "" };
            let who = if broker.pid == 0 { "in another container".to_owned() } else { format!("pid {}", broker.pid) };
            format!("broker: {who}, {stopped}does not answer\n")
        }
        Some(broker) => {
            let state = super::status::state(broker);
            let sessions = person::counted(broker.sessions.len() as u64, "session");
            format!("broker: pid {}, {state}, {sessions}, {} queued\n", broker.pid, broker.queued.len())
        }
        None => "broker: none runs\n".to_owned(),
    };
    if let Some(broker) = &report.broker {
        for session in &broker.sessions {
            let transaction = if session.in_transaction { ", in a transaction" } else { "" };
            let command = person::one_line(&session.command);
            text.push_str(&format!("  session {}: {command}   (pid {}{transaction})\n", session.name, session.pid));
        }
    }
    for (name, lock) in [("owner", &report.owner), ("file", &report.file)] {
        for (does, ticket) in tickets(lock.as_ref()) {
            let handed = if name == "file" && is_lease(report, ticket) { ", by a lease" } else { "" };
            text.push_str(&format!("{name} lock: {does} {}{handed}\n", person::holder(&lock_holder(ticket))));
        }
    }
    text
}

/// Whoever has the file lock and is not the database's owner.
fn is_lease(report: &Report, ticket: &dbmux_lock::TicketInfo) -> bool {
    let owners = report.owner.iter().flat_map(|owner| &owner.holders);
    let has_it = ticket.state == State::Granted;
    has_it && ticket.same_namespace && !owners.into_iter().any(|owner| owner.process == ticket.process)
}

fn tickets(lock: Option<&Snapshot>) -> impl Iterator<Item = (&'static str, &dbmux_lock::TicketInfo)> {
    lock.into_iter().flat_map(|lock| {
        let holders = lock.holders.iter().map(|ticket| ("held by", ticket));
        holders.chain(lock.waiters.iter().map(|ticket| ("waits:", ticket)))
    })
}

fn for_program(report: &Report, database: &Path) -> Value {
    let holders = report.holders.iter().map(|(holder, layout)| {
        let mut value = report::holder(holder);
        value["engine"] = json!(match layout {
            Layout::DuckDb => Some("duckdb"),
            Layout::Sqlite => Some("sqlite"),
            Layout::Other => None,
        });
        value["what"] = json!(kind(holder, *layout));
        value["advice"] = json!(advice(holder));
        value
    });
    let lock = |lock: &Option<Snapshot>| {
        lock.as_ref()
            .map(|lock| json!({ "holders": report::tickets(&lock.holders), "waiting": report::tickets(&lock.waiters) }))
    };
    let mut file_lock = json!(lock(&report.file));
    let holders_of_file = report.file.iter().flat_map(|file| &file.holders).enumerate();
    for (index, _) in holders_of_file.filter(|(_, ticket)| is_lease(report, ticket)) {
        file_lock["holders"][index]["kind"] = json!(report::holder_kind(HolderKind::Lease));
    }
    json!({
        "database": database,
        "exists": report.exists,
        "holders": holders.collect::<Vec<_>>(),
        "owner_lock": lock(&report.owner),
        "file_lock": file_lock,
        "broker": report.broker.as_ref().map(super::status::for_program),
    })
}
