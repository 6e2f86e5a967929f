//! Who has the file, who waits for it, and what to do. Starts nothing, and never opens the file.

mod json;
mod text;

pub use json::for_program;
pub use text::for_person;

use dbmux_client::{Client, ClientError, Holder, HolderKind, StatusReply};
use dbmux_lock::{Lock, LockName, Snapshot, State};
use dbmux_os::{
    holders::{self, Access, FileHolder, Layout, Who},
    process,
};

use crate::{ReportError, status};

/// All that is known of who has a database's file.
pub struct WhoHas {
    exists: bool,
    holders: Vec<(Holder, Layout)>,
    owner: Option<Snapshot>,
    file: Option<Snapshot>,
    /// What the broker says of itself; `None`: none runs.
    pub broker: Option<StatusReply>,
    /// Why no broker could be asked.
    pub unasked: Option<ClientError>,
}

/// Looks who has the database of a client that starts nothing.
///
/// # Errors
/// When the file's locks cannot be looked at.
pub async fn look(client: &Client) -> Result<WhoHas, ReportError> {
    let database = client.database();
    let (broker, unasked) = match client.status().await {
        Ok(status) => (status, None),
        // Who it is, is seen all the same.
        Err(ClientError::NotAnswering { .. }) => (None, None),
        Err(error @ ClientError::RuntimeDirectory { .. }) => (None, Some(error)),
        Err(error) => return Err(error.into()),
    };
    let sidecar = dbmux_lock::sidecar_path(database);
    let owner = Lock::peek(&sidecar, LockName::Owner)?;
    // One that is stopped, or only starts, says nothing; that it has the owner lock says who it is.
    let broker = broker.or_else(|| status::silent(client, owner.as_ref()?));
    let found = holders::holders_of(database)?;
    let file = Lock::peek(&sidecar, LockName::File)?;
    Ok(WhoHas {
        exists: database.exists(),
        holders: found.iter().map(|found| (holder(found, broker.as_ref(), file.as_ref()), found.layout)).collect(),
        owner,
        file,
        broker,
        unasked,
    })
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

/// Whoever has the file lock and is not the database's owner.
fn is_lease(report: &WhoHas, ticket: &dbmux_lock::TicketInfo) -> bool {
    let owners = report.owner.iter().flat_map(|owner| &owner.holders);
    let has_it = ticket.state == State::Granted;
    has_it && ticket.same_namespace && !owners.into_iter().any(|owner| owner.process == ticket.process)
}
