//! Who else has the file: found through the kernel, shown to those who wait, and watched until it is gone.

use std::{path::Path, sync::Arc, time::Duration};

use dbmux_engine::{EngineError, ErrorCode, Holder, ServiceError};
use dbmux_lock::{Guard, Lock, LockError, Mode, Request, Wait};
use dbmux_os::{
    OsError,
    holders::{self, FileHolder, Who},
    process::{ExitWatch, ProcessId},
};
use dbmux_proto::HolderKind;

use super::File;

/// How long one wait for the file lock lasts before it is looked whether anybody still wants it.
const LOCK_WAIT: Duration = Duration::from_millis(500);

/// Who else has the file.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    /// The first of them, as it is shown.
    pub(super) holder: Option<Holder>,
    /// Its process, where its end can be watched.
    pub(super) process: Option<ProcessId>,
    pub(super) all: Vec<Holder>,
}

/// Looks for other processes that have the file. Opens nothing.
pub(super) async fn find(path: &Path) -> Foreign {
    let path = path.to_owned();
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
    let process = others.iter().find_map(|holder| match &holder.who {
        Who::Process(process) => Some(process.id),
        _ => None,
    });
    let all: Vec<_> = others.iter().map(show).collect();
    Foreign { holder: all.first().cloned(), process, all }
}

/// A holder as it is shown.
fn show(found: &FileHolder) -> Holder {
    let mut holder =
        Holder { writes: found.access == holders::Access::Write, part: found.part.to_string(), ..Holder::default() };
    match &found.who {
        Who::Process(process) => {
            holder.set_kind(HolderKind::Process);
            holder.pid = process.id.pid;
            holder.command.clone_from(&process.command);
            holder.user.clone_from(&process.user);
            holder.working_directory =
                process.working_directory.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
            holder.stopped = process.stopped;
            let held = process.started.elapsed().unwrap_or_default();
            holder.held_ms = crate::errors::millis(held);
        }
        Who::OtherNamespace => holder.set_kind(HolderKind::OtherNamespace),
        Who::OtherHost => holder.set_kind(HolderKind::OtherHost),
        Who::Unknown => holder.set_kind(HolderKind::Unknown),
    }
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

/// Waits for the database's file lock for as long as anybody wants the file; `None`: nobody does any more.
pub(super) async fn take_file_lock(
    file: &Arc<File>,
    lock: &Arc<Lock>,
    tell: impl Fn(Option<Holder>),
) -> Result<Option<Guard>, EngineError> {
    let mut wait = Wait::Never;
    loop {
        let lock = Arc::clone(lock);
        let request = Request::new(Mode::Exclusive).wait(wait);
        let taken = tokio::task::spawn_blocking(move || lock.acquire(&request)).await;
        match taken.map_err(|error| EngineError::Internal { message: error.to_string() })? {
            Ok(guard) => return Ok(Some(guard)),
            Err(error @ LockError::TimedOut { .. }) if file.is_wanted() => tell(holder_of(&error)),
            Err(LockError::TimedOut { .. }) => return Ok(None),
            Err(error) => return Err(EngineError::Io { path: file.path.clone(), message: error.to_string() }),
        }
        wait = Wait::For(LOCK_WAIT);
    }
}

fn holder_of(_error: &LockError) -> Option<Holder> {
    None
}

/// A lock's error, as a client sees it.
pub(crate) fn lock_error(error: &LockError, database: &Path) -> ServiceError {
    let code = match error {
        LockError::TimedOut { .. } => ErrorCode::DatabaseLocked,
        _ => ErrorCode::Internal,
    };
    let mut service = ServiceError::new(code, error.to_string());
    service.0.db_path = database.display().to_string();
    service
}
