//! Who else has the file: found through the kernel, shown to those who wait, and watched until it is gone.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use dbmux_engine::Holder;
use dbmux_os::{
    OsError,
    holders::{self, FileHolder, Who},
    process::{ExitWatch, ProcessId},
};
use dbmux_proto::HolderKind;
use parking_lot::Mutex;

use super::File;
use crate::{errors, holder};

/// Who else has the file.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    /// The first of them, as it is shown.
    pub(super) holder: Option<Holder>,
    /// Its process, where its end can be watched.
    pub(super) process: Option<ProcessId>,
    pub(super) all: Vec<Holder>,
}

/// Since when each of them is known to have the file. The kernel does not tell since when a lock is held; a process's
/// age is no answer, for a notebook that has run for days may have opened the file a moment ago.
#[derive(Debug, Default)]
pub(super) struct Sightings(Mutex<HashMap<ProcessId, Instant>>);

impl Sightings {
    /// Those that are here now; the others are forgotten.
    fn update(&self, present: &[ProcessId]) {
        let mut seen = self.0.lock();
        seen.retain(|process, _| present.contains(process));
        for process in present {
            seen.entry(*process).or_insert_with(Instant::now);
        }
    }

    fn since(&self, process: ProcessId) -> Option<Instant> {
        self.0.lock().get(&process).copied()
    }
}

/// Looks for other processes that have the file. Opens nothing.
pub(super) async fn find(file: &File) -> Foreign {
    let path = file.path.clone();
    let found = tokio::task::spawn_blocking(move || holders::holders_of(&path)).await;
    let found = match found {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::warn!(%error, "cannot see who has the file");
            return Foreign::default();
        }
        Err(error) => {
            tracing::error!(%error, "looking for holders failed");
            return Foreign::default();
        }
    };
    let others: Vec<_> = found.into_iter().filter(|holder| !holder.mine).collect();
    let processes: Vec<_> = others.iter().filter_map(process_of).collect();
    file.sightings.update(&processes);
    let all: Vec<_> = others.iter().map(|found| show(found, &file.sightings)).collect();
    Foreign { holder: all.first().cloned(), process: processes.first().copied(), all }
}

fn process_of(found: &FileHolder) -> Option<ProcessId> {
    match &found.who {
        Who::Process(process) => Some(process.id),
        _ => None,
    }
}

/// A holder as it is shown.
fn show(found: &FileHolder, sightings: &Sightings) -> Holder {
    let hidden = |kind: HolderKind| Holder { kind: kind.into(), ..Holder::default() };
    let mut holder = match &found.who {
        Who::Process(process) => holder::of_process(process, HolderKind::Process),
        Who::OtherNamespace => hidden(HolderKind::OtherNamespace),
        Who::OtherHost => hidden(HolderKind::OtherHost),
        Who::Unknown => hidden(HolderKind::Unknown),
    };
    if let Some(since) = process_of(found).and_then(|process| sightings.since(process)) {
        errors::set_since(&mut holder, since);
    }
    holder.writes = found.access == holders::Access::Write;
    holder.part = found.part.to_string();
    holder.lock = found.sqlite.map(|lock| lock.to_string()).unwrap_or_default();
    holder
}

/// Resolves when the process has ended, at the latest after `pause`.
pub(super) async fn gone(process: Option<ProcessId>, pause: Duration) {
    let Some(process) = process else { return tokio::time::sleep(pause).await };
    let watched = tokio::task::spawn_blocking(move || match ExitWatch::open(process) {
        Ok(watch) => watch.wait(Some(pause)).is_ok(),
        Err(OsError::NoSuchProcess { .. }) => true,
        Err(_) => false,
    });
    if !watched.await.unwrap_or(false) {
        tokio::time::sleep(pause).await;
    }
}

/// Spreads pauses, so that several waiters do not try at the same moments.
pub(super) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}
