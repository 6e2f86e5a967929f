//! The file lock, and whoever has it instead of us: a lease.
//!
//! A lease is the file lock, in the hands of another process and of those to which that one left its open files. Where a
//! process that was shown as its owner still runs when the lock has come free, it was left without those files, and works on
//! all the same: nobody attaches under it.

use std::{sync::Arc, time::Duration};

use dbmux_engine::ServiceError;
use dbmux_lock::{CancelFlag, Guard, LockError, Mode, Request, Wait, WaitState};
use dbmux_os::process::{self, ProcessId};
use dbmux_proto::HolderKind;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{File, KeeperOptions, foreign};
use crate::{errors, holder, locks};

/// How often it is looked who has the file lock that is waited for.
const REFRESH: Duration = Duration::from_millis(100);
/// How often it is looked whether anybody still wants the file whose lock is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// Those who have the lock before us, as they were told last.
struct Others {
    shown: Option<(ProcessId, bool)>,
    /// Those who go first, beside the one who has it.
    ahead: usize,
}

impl Others {
    fn of(state: &WaitState) -> Self {
        let shown = state.holder.as_ref().map(|holder| (holder.process, holder.stopped));
        // Nobody has it yet: one of those who go first is about to.
        Self { shown, ahead: state.ahead.saturating_sub(usize::from(shown.is_none())) }
    }

    /// Whoever was first in line gets the lock, and may show another process as the one who has it; or that one is stopped:
    /// one who waits behind him is not woken by it.
    async fn look(&mut self, file: &Arc<File>) {
        let database = file.path.clone();
        let leases = tokio::task::spawn_blocking(move || locks::leases(&database)).await.unwrap_or_default();
        let Some(lease) = leases.first() else { return };
        let now = Some((lease.process, lease.stopped));
        if self.shown != now {
            self.shown = now;
            file.tell(|view| view.waits_for_lease(Some(lease), self.ahead));
        }
    }
}

/// Waits for the database's file lock for as long as anybody wants the file; `None`: nobody does any more. It keeps its
/// place in line however long that takes.
pub(super) async fn take_file_lock(file: &Arc<File>, options: &KeeperOptions) -> Result<Option<Guard>, ServiceError> {
    let cancel = CancelFlag::default();
    let request = Request::new(Mode::Exclusive).wait(Wait::Forever).cancel(cancel.clone());
    let (told, mut waits) = watch::channel(None);
    let lock = Arc::clone(&options.file_lock);
    let mut taken = tokio::task::spawn_blocking(move || {
        lock.acquire_observed(&request, &mut |state: &WaitState| {
            told.send_replace(Some(state.clone()));
        })
    });
    let mut look = tokio::time::interval(LOOK);
    let mut others = Others { shown: None, ahead: 0 };
    let mut refresh = tokio::time::interval(REFRESH);
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
                    others = Others::of(state);
                    file.tell(|view| view.waits_for_lease(state.holder.as_ref(), state.ahead));
                }
            }
            _ = refresh.tick() => others.look(file).await,
            _ = look.tick() => {
                if !file.is_wanted() {
                    cancel.cancel();
                }
            }
            () = options.shutdown.cancelled(), if !cancel.is_cancelled() => cancel.cancel(),
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
    let shown = holder::of_process(&seen, HolderKind::Lease);
    Some(dbmux_engine::Holder { part: "lease".to_owned(), writes: true, ..shown })
}
