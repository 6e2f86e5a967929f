//! Processes that have a file although its lock is ours: those that never asked dbmux, and those of an earlier lease that
//! were left without their lock.
//!
//! Their end wakes us; that one of them only closes the file, the kernel does not tell: it is looked at again and again,
//! more and more seldom.

use std::{path::Path, time::Duration};

use dbmux_lock::Guard;
use dbmux_os::{
    OsError,
    holders::{self, FileHolder, Who},
    process::{self, ExitWatch, ProcessId, ProcessInfo},
};
use dbmux_proto::{Holder, HolderKind};

use super::{LeaseProgress, LeaseStage, held::Held, line::Ask};
use crate::{ClientError, connect::place};

/// The shortest and the longest pause between two looks.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

/// Waits until nobody else has any of the files. Where it gives up, nothing is held.
pub(super) fn gone(
    mut held: Vec<Held>,
    ask: &Ask,
    observe: &mut dyn FnMut(&LeaseProgress),
) -> Result<Vec<Held>, ClientError> {
    match wait(&held, ask, observe) {
        Ok(()) => Ok(held),
        Err(error) => {
            for Held { mut guard, .. } in held.drain(..) {
                // The next one must know of him too.
                if let Some(left) = left_behind(&guard)
                    && guard.show_as(left.id).is_ok()
                {
                    guard.abandon();
                }
            }
            Err(error)
        }
    }
}

fn wait(held: &[Held], ask: &Ask, observe: &mut dyn FnMut(&LeaseProgress)) -> Result<(), ClientError> {
    let (mut pause, mut waited_for) = (PAUSE.0, None);
    while let Some((database, found)) = first(held)? {
        let holder = found.holder();
        if found.process.is_some_and(process::runs_inside) {
            return Err(ClientError::InsideHolder { database: database.to_owned(), holder: Box::new(holder) });
        }
        if ask.cancel.is_cancelled() {
            return Err(ClientError::Cancelled { database: database.to_owned() });
        }
        let left = ask.left().unwrap_or(PAUSE.1);
        if left.is_zero() {
            return Err(ask.locked(database, Some(holder), 0));
        }
        observe(&ask.progress(database, LeaseStage::InUse, Some(holder)));
        if waited_for != found.process {
            (waited_for, pause) = (found.process, PAUSE.0);
        }
        until_gone(found.process, pause.min(left));
        pause = PAUSE.1.min(pause * 2);
    }
    Ok(())
}

/// Somebody who has a file.
struct Found {
    /// Where its end can be watched.
    process: Option<ProcessId>,
    seen: Option<Box<ProcessInfo>>,
    kind: HolderKind,
    writes: bool,
    part: String,
}

/// The first of the files that somebody else has.
fn first(held: &[Held]) -> Result<Option<(&Path, Found)>, ClientError> {
    for Held { database, guard } in held {
        if let Some(seen) = left_behind(guard) {
            return Ok(Some((database, Found::left_behind(seen))));
        }
        let found = match holders::holders_of(database) {
            Ok(found) => found,
            // Nobody can be seen: whoever has the file is met by whoever opens it.
            Err(OsError::Unsupported { .. }) => Vec::new(),
            Err(error) => return Err(place("look who has", database, &error)),
        };
        if let Some(found) = found.into_iter().find(|found| !found.mine) {
            return Ok(Some((database, Found::outside(found))));
        }
    }
    Ok(None)
}

/// The process that had the lock before us, lost it without giving it back, and runs on.
fn left_behind(guard: &Guard) -> Option<ProcessInfo> {
    let owner = guard.previous_holder_died().filter(|owner| *owner != process::own().id)?;
    process::info(owner.pid).ok().filter(|seen| seen.id == owner && process::is_alive(owner))
}

impl Found {
    fn left_behind(seen: ProcessInfo) -> Self {
        let kind = HolderKind::Lease;
        Self { process: Some(seen.id), seen: Some(Box::new(seen)), kind, writes: true, part: "lease".to_owned() }
    }

    fn outside(found: FileHolder) -> Self {
        let (seen, kind) = match found.who {
            Who::Process(seen) => (Some(seen), HolderKind::Process),
            Who::OtherNamespace => (None, HolderKind::OtherNamespace),
            Who::OtherHost => (None, HolderKind::OtherHost),
            Who::Unknown => (None, HolderKind::Unknown),
        };
        let process = seen.as_ref().map(|seen| seen.id);
        let writes = found.access == holders::Access::Write;
        Self { process, seen, kind, writes, part: found.part.to_string() }
    }

    fn holder(&self) -> Holder {
        let mut holder = Holder { writes: self.writes, part: self.part.clone(), ..Holder::default() };
        holder.set_kind(self.kind);
        if let Some(seen) = &self.seen {
            let directory = seen.working_directory.as_ref();
            holder.pid = seen.id.pid;
            holder.command.clone_from(&seen.command);
            holder.user.clone_from(&seen.user);
            holder.stopped = seen.stopped;
            holder.working_directory = directory.map(|path| path.display().to_string()).unwrap_or_default();
        }
        holder
    }
}

/// Sleeps until the process has ended, at the latest after `pause`.
fn until_gone(process: Option<ProcessId>, pause: Duration) {
    let watch = process.map(ExitWatch::open);
    match watch {
        Some(Ok(watch)) if watch.wait(Some(pause)).is_ok() => {}
        Some(Err(OsError::NoSuchProcess { .. })) => {}
        _ => std::thread::sleep(pause),
    }
}
