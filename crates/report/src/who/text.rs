//! Who has the file, for a person.

use std::path::Path;

use dbmux_client::{Holder, lock_holder};
use dbmux_lock::Snapshot;
use dbmux_os::holders::Layout;

use super::{WhoHas, advice, is_lease, kind};
use crate::{person, status};

/// For a person, in lines.
pub fn for_person(report: &WhoHas, database: &Path) -> String {
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
fn dbmux_side(report: &WhoHas) -> String {
    let mut text = match &report.broker {
        Some(broker) if status::is_silent(broker) => {
            let stopped = if status::is_stopped(broker) { "is stopped, and " } else { "" };
            let who = if broker.pid == 0 { "in another container".to_owned() } else { format!("pid {}", broker.pid) };
            format!("broker: {who}, {stopped}does not answer\n")
        }
        Some(broker) => {
            let state = status::state(broker);
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

fn tickets(lock: Option<&Snapshot>) -> impl Iterator<Item = (&'static str, &dbmux_lock::TicketInfo)> {
    lock.into_iter().flat_map(|lock| {
        let holders = lock.holders.iter().map(|ticket| ("held by", ticket));
        holders.chain(lock.waiters.iter().map(|ticket| ("waits:", ticket)))
    })
}
