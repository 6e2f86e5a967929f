//! How long a broker lives, and how it ends.
//!
//! It leaves when nobody has had a session for a while, when it is told to, when somebody waits for its owner lock, and
//! when its sidecar is no longer the one that everybody else sees. Leaving is draining: nothing new begins, what runs may
//! end, open transactions may end, and the file is released last.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dbmux_lock::{Guard, Lock};

use crate::{
    core::Core,
    errors,
    file::{self, KeeperOptions},
    session::BrokerSession,
    track::Phase,
};

/// How often it is looked whether somebody waits for the locks, and who keeps them waiting.
const LOOK: Duration = Duration::from_millis(500);
/// How often a draining broker looks whether it is done, beside being told.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// The locks of a broker.
pub(crate) struct Locks {
    pub(crate) owner: Arc<Lock>,
    pub(crate) owned: Guard,
    pub(crate) file: Arc<Lock>,
}

/// Lives until the broker has ended, and gives up everything in order.
pub(crate) async fn live(core: Arc<Core>, locks: Locks) {
    let shutdown = tokio_util::sync::CancellationToken::new();
    let keeper = tokio::spawn(file::keep(
        Arc::clone(&core.file),
        KeeperOptions {
            file_lock: Arc::clone(&locks.file),
            release_after: core.options.release_after,
            shutdown: shutdown.clone(),
        },
    ));
    let mut looks = tokio::time::interval(LOOK);
    let mut empty_since = Instant::now();
    while !core.is_draining() {
        tokio::select! {
            _ = looks.tick() => look(&core, &locks, &mut empty_since).await,
            () = core.drain_begun.notified() => {}
        }
    }
    drain(&core).await;
    shutdown.cancel();
    if let Err(error) = keeper.await {
        tracing::error!(%error, "the file's keeper failed");
    }
    core.ended.cancel();
    drop(locks.owned);
    tracing::info!("ended");
}

async fn look(core: &Arc<Core>, locks: &Locks, empty_since: &mut Instant) {
    let owner_wanted = waits(&locks.owner);
    let file_wanted = waits(&locks.file);
    if let Err(error) = locks.owned.verify() {
        tracing::warn!(%error, "the sidecar was replaced; leaving");
        core.leave();
    }
    if owner_wanted {
        tracing::info!("somebody waits for the owner lock; leaving");
        core.leave();
    }
    core.file.give_way(file_wanted);
    end_idlers(core).await;
    if !core.sessions.lock().is_empty() {
        *empty_since = Instant::now();
    } else if empty_since.elapsed() >= core.options.idle_exit {
        tracing::info!("nobody has had a session for a while; leaving");
        core.leave();
    }
}

fn waits(lock: &Lock) -> bool {
    match lock.waiting() {
        Ok(waiting) => waiting > 0,
        Err(error) => {
            tracing::warn!(%error, "cannot see who waits");
            false
        }
    }
}

/// Ends transactions that are idle, and results that nobody reads, for longer than the limit, where others wait for them.
///
/// Both keep the file. An unread result keeps a place among those that run, and one on the floor, as well.
async fn end_idlers(core: &Arc<Core>) {
    let file_is_wanted = core.is_draining() || core.file.is_waited_for();
    if !file_is_wanted && !core.floor.is_wanted() && core.admission.view().queued == 0 {
        return;
    }
    let limit = core.options.idle_transaction;
    for session in core.all_sessions() {
        for track in session.unread_results(limit) {
            tracing::info!(session = ?session.id, "ending a result that nobody reads");
            session.end_result(&track, errors::unread_result(limit));
        }
        if file_is_wanted && session.idle_in_transaction(limit) {
            tracing::info!(session = ?session.id, "ending an idle transaction");
            session.end_transaction(errors::idle_transaction(limit)).await;
        }
    }
}

/// Waits until nothing runs and no transaction is open; at the limit, ends them.
async fn drain(core: &Arc<Core>) {
    let began = Instant::now();
    loop {
        close_those_without_transaction(core);
        let sessions = core.all_sessions();
        if sessions.is_empty() {
            return;
        }
        if began.elapsed() >= *core.drain_limit.lock() {
            for session in sessions {
                session.close().await;
                core.sessions.lock().remove(&session.id);
            }
            return;
        }
        end_idlers(core).await;
        let _ = tokio::time::timeout(DRAIN_LOOK, core.drain_begun.notified()).await;
    }
}

fn close_those_without_transaction(core: &Core) {
    core.sessions.lock().retain(|_, session| session.in_transaction() || session.is_busy());
}

impl BrokerSession {
    /// A statement of it waits or runs.
    pub(crate) fn is_busy(&self) -> bool {
        !self.tracks.lock().is_empty()
    }

    fn idle_in_transaction(&self, limit: Duration) -> bool {
        let kept = self.kept.lock();
        kept.state.in_transaction && kept.last_active.elapsed() >= limit && !self.is_busy()
    }

    fn unread_results(&self, limit: Duration) -> Vec<Arc<crate::track::Track>> {
        let unread = |track: &&Arc<crate::track::Track>| track.phase() == Phase::Sending && track.unread_for() >= limit;
        self.tracks.lock().values().filter(unread).cloned().collect()
    }
}
