//! `dbmux run`: runs a command that opens database files itself, while everybody else waits, or reads from a snapshot. Starts
//! no broker.

use std::time::{Duration, Instant};

use dbmux_client::{LeaseProgress, LeaseRequest, LeaseStage, Reads};

use super::guarded::{self, Watched};
use crate::{
    args::{ReadsArg, RunArgs},
    exit::Exit,
    failure::Failure,
    render::{self, person},
};

/// Takes the files, runs the command, and gives its exit code on.
pub(crate) fn run(args: RunArgs) -> Result<Exit, Failure> {
    let command = guarded::command(&args.command)?;
    let watched = Watched::default();
    guarded::listen(&watched)?;
    let request = LeaseRequest::new(&args.databases)?
        .reads(args.reads.into())
        .wait(Some(args.waiting.wait))
        .priority(args.waiting.priority.into())
        .command(guarded::text(&args.command))
        .cancel(watched.cancel.clone());
    let taken = guarded::shown(for_whom, |tell| {
        request.acquire(&mut |progress: &LeaseProgress| tell((progress.clone(), Instant::now())))
    });
    let lease = taken.map_err(|error| guarded::unless_signalled(error.into(), &watched))?;
    lease.notices().iter().for_each(|notice| render::note(notice));
    guarded::run(command, lease, &watched)
}

impl From<ReadsArg> for Reads {
    fn from(reads: ReadsArg) -> Self {
        match reads {
            ReadsArg::Snapshot => Self::Snapshot,
            ReadsArg::Wait => Self::Wait,
        }
    }
}

/// `for sales.duckdb: dbt build (pid 66618, alice, 12 s), 2 ahead of you`, as of now.
pub(super) fn for_whom((progress, told): &(LeaseProgress, Instant)) -> String {
    let database = progress.database.file_name().unwrap_or(progress.database.as_os_str()).display();
    let mut text = format!("for {database}");
    if let Some(mut holder) = progress.holder.clone() {
        if holder.held_ms > 0 {
            let held = Duration::from_millis(holder.held_ms) + told.elapsed();
            holder.held_ms = u64::try_from(held.as_millis()).unwrap_or(u64::MAX);
        }
        text.push_str(&format!(": {}", person::holder(&holder).replace("   (", " (")));
    } else if progress.stage == LeaseStage::Preparing {
        text.push_str(": its snapshot is being made");
    }
    if progress.ahead > 0 {
        text.push_str(&format!(", {} ahead of you", progress.ahead));
    }
    text
}
