//! The file lock, and whoever has it instead of us: a lease.
//!
//! A lease is the file lock, in the hands of another process and of those to which that one left its open files. Where a
//! process that was shown as its owner still runs when the lock has come free, it was left without those files, and works on
//! all the same: nobody attaches under it.

use std::{sync::Arc, time::Duration};

use dbmux_engine::ServiceError;
use dbmux_lock::{CancelFlag, Guard, Lock, LockError, Mode, Request, Wait, WaitState};
use dbmux_os::process::{self, ProcessId};
use dbmux_proto::HolderKind;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{File, foreign};
use crate::{errors, locks};

/// How often it is looked whether anybody still wants the file whose lock is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// Waits for the database's file lock for as long as anybody wants the file; `None`: nobody does any more. It keeps its
/// place in line however long that takes.
pub(super) async fn take_file_lock(file: &Arc<File>, lock: &Arc<Lock>) -> Result<Option<Guard>, ServiceError> {
    let cancel = CancelFlag::default();
    let request = Request::new(Mode::Exclusive).wait(Wait::Forever).cancel(cancel.clone());
    let (told, mut waits) = watch::channel(None);
    let lock = Arc::clone(lock);
    let mut taken = tokio::task::spawn_blocking(move || {
        lock.acquire_observed(&request, &mut |state: &WaitState| {
            told.send_replace(Some(state.clone()));
        })
    });
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            taken = &mut taken => {
                return match taken.map_err(|error| errors::internal(error.to_string()))? {
                    Ok(guard) => Ok(Some(guard)),
                    Err(LockError::Cancelled { .. }) => {
                        file.tell(|view| view.waits_for(None));
                        Ok(None)
                    }
                    Err(error) => Err(locks::error(&error, &file.path)),
                };
            }
            Ok(()) = waits.changed() => {
                if let Some(state) = waits.borrow_and_update().as_ref() {
                    file.tell(|view| view.waits_for_lease(state.holder.as_ref(), state.ahead));
                }
            }
            _ = look.tick() => {
                if !file.is_wanted() {
                    cancel.cancel();
                }
            }
        }
    }
}

/// Waits until the process that had the lock before us, and lost it without giving it back, has ended. `None`: the broker
/// ends before that.
pub(super) async fn last_owner_gone(file: &File, mut guard: Guard, shutdown: &CancellationToken) -> Option<Guard> {
    let runs_on = |owner: &ProcessId| *owner != process::own().id && process::is_alive(*owner);
    let Some(owner) = guard.previous_holder_died().filter(runs_on) else { return Some(guard) };
    tracing::warn!(pid = owner.pid, "the process that had the file lost the lock, and runs on; waiting for its end");
    // Whoever takes the lock after us must know of it as well, whatever becomes of us.
    if let Err(error) = guard.show_as(owner) {
        tracing::warn!(%error, "others cannot be told who has the file");
    }
    while process::is_alive(owner) {
        let shown = tokio::task::spawn_blocking(move || show(owner)).await.ok().flatten();
        file.tell(|view| view.waits_for(shown));
        tokio::select! {
            () = foreign::gone(Some(owner), LOOK) => {}
            () = shutdown.cancelled() => {
                guard.abandon();
                return None;
            }
        }
    }
    if let Err(error) = guard.show_as(process::own().id) {
        tracing::warn!(%error, "others cannot be told who has the file");
    }
    Some(guard)
}

fn show(owner: ProcessId) -> Option<dbmux_engine::Holder> {
    let seen = process::info(owner.pid).ok().filter(|seen| seen.id == owner)?;
    let mut holder = dbmux_engine::Holder {
        pid: owner.pid,
        command: seen.command,
        user: seen.user,
        part: "lease".to_owned(),
        stopped: seen.stopped,
        writes: true,
        ..Default::default()
    };
    holder.set_kind(HolderKind::Lease);
    Some(holder)
}
