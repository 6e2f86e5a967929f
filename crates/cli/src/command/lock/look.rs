//! `dbmux lock NAME` without a command: who has the lock, and who waits for it.

use std::io::Write;

use dbmux_client::lock_holder;
use dbmux_lock::{Lock, LockName, Snapshot, TicketInfo};
use dbmux_report::stats;
use serde_json::{Value, json};

use super::which::Which;
use crate::{
    args::LockArgs,
    exit::Exit,
    failure::Failure,
    render::{self, person, report},
};

/// Shows it. Makes nothing.
pub(super) fn run(args: &LockArgs) -> Result<Exit, Failure> {
    let snapshot = Lock::peek(&Which::of(args)?.table()?, LockName::Plain)?;
    let mut out = render::report_output();
    if args.json {
        writeln!(out, "{}", for_program(args, snapshot.as_ref()))?;
    } else {
        write!(out, "{}", for_person(args, snapshot.as_ref()))?;
    }
    Ok(Exit::Done)
}

fn for_person(args: &LockArgs, snapshot: Option<&Snapshot>) -> String {
    let name = args.name.display();
    let Some(snapshot) = snapshot else { return format!("{name} is free: nobody has ever had it\n") };
    let list = |tickets: &[TicketInfo]| -> String {
        tickets.iter().map(|ticket| format!("  {}\n", person::holder(&lock_holder(ticket)))).collect()
    };
    let mut text = if snapshot.holders.is_empty() {
        format!("{name} is free\n")
    } else {
        format!("{name} is held by\n{}", list(&snapshot.holders))
    };
    if !snapshot.waiters.is_empty() {
        text.push_str(&format!("waiting, the next one first\n{}", list(&snapshot.waiters)));
    }
    let (statistics, count) = (&snapshot.statistics, person::count);
    text.push_str(&format!(
        "granted {}, {} after a wait of {} at most; {} gave up\n",
        person::counted(statistics.acquisitions, "time"),
        count(statistics.contended),
        person::duration(statistics.longest_wait),
        count(statistics.failures)
    ));
    text
}

fn for_program(args: &LockArgs, snapshot: Option<&Snapshot>) -> Value {
    let [holders, waiting] =
        snapshot.map_or([vec![], vec![]], |lock| [report::tickets(&lock.holders), report::tickets(&lock.waiters)]);
    json!({
        "name": args.name.to_string_lossy(),
        "holders": holders,
        "waiting": waiting,
        "statistics": snapshot.map(stats::lock_json),
    })
}
