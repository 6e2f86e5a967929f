//! `dbmux stop`: asks a broker to finish what runs, and to end.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use dbmux_os::process::{self, ExitWatch, ProcessId};
use serde_json::json;

use crate::{
    args::StopArgs,
    exit::Exit,
    failure::Failure,
    render::{self, note, person},
};

/// What a broker may take beyond its drain: to release the file and to leave.
const LEAVING: Duration = Duration::from_secs(5);

/// Asks, and waits until the broker's process has ended.
pub(crate) fn run(args: &StopArgs) -> Result<Exit, Failure> {
    let client = super::onlooker(&args.database)?;
    let began = Instant::now();
    let status = super::block_on(async { Ok(client.status().await?) })?;
    // Who it is must be known before it is told to leave: later its number may be somebody else's.
    let process = status.as_ref().and_then(|status| process::id(status.pid).ok());
    let pid = super::block_on(async { Ok(client.stop(args.wait).await?) })?;
    let ended = match process.filter(|_| pid.is_some()) {
        Some(process) => until_gone(process, args.wait.saturating_add(LEAVING))?,
        None => true,
    };
    if args.json {
        let report = json!({ "database": client.database(), "pid": pid, "stopped": ended && pid.is_some() });
        writeln!(render::report_output(), "{report}")?;
    } else if let Some(pid) = pid.filter(|_| ended) {
        note(&format!("the broker (pid {pid}) has ended after {}", person::duration(began.elapsed())));
    } else if pid.is_none() {
        note(&format!("no broker serves {}", client.database().display()));
    }
    match pid {
        Some(pid) if !ended => {
            let message = format!("the broker (pid {pid}) is asked to end, and has not yet");
            Err(Failure::system(message).with_hint("see dbmux status").with_exit(Exit::TryAgain))
        }
        _ => Ok(Exit::Done),
    }
}

/// Waits for the end of a process; says whether it has come.
fn until_gone(process: ProcessId, limit: Duration) -> Result<bool, Failure> {
    match ExitWatch::open(process) {
        Ok(watch) => Ok(watch.wait(Some(limit))?),
        Err(_) if !process::is_alive(process) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
