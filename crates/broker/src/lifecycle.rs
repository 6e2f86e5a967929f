//! How long a broker lives, and how it ends.
//!
//! It leaves when nobody has had a session for a while, when it is told to, when somebody waits for its owner lock, and
//! when its sidecar is no longer the one that everybody else sees. Leaving is draining: nothing new begins, what runs may
//! end, open transactions may end, and the file is released last.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dbmux_lock::{Guard, Lock, LockError};
use tokio_util::sync::CancellationToken;

use crate::{
    core::Core,
    errors,
    file::{self, File, KeeperOptions},
    session::BrokerSession,
    track::Phase,
};

/// How often it is looked whether somebody waits for the locks, and who keeps them waiting.
const LOOK: Duration = Duration::from_millis(500);
/// How often a draining broker looks whether it is done, beside being told.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// How many times as long as statements may run on, a copy is tried for: they have ended by then.
const PATIENCE: u32 = 2;
/// How long a statement may take to end when it is interrupted for the last time.
const INTERRUPT: Duration = Duration::from_secs(5);

/// The locks of a broker.
pub(crate) struct Locks {
    pub(crate) owner: Arc<Lock>,
    pub(crate) owned: Arc<Guard>,
    pub(crate) file: Arc<Lock>,
}

/// Lives until the broker has ended, and gives up everything in order.
pub(crate) async fn live(core: Arc<Core>, locks: Locks) {
    let (shutdown, hopeless) = (CancellationToken::new(), CancellationToken::new());
    let keeper = tokio::spawn(file::keep(
        Arc::clone(&core.file),
        KeeperOptions {
            file_lock: Arc::clone(&locks.file),
            release_after: core.options.release_after,
            shutdown: shutdown.clone(),
            hopeless: hopeless.clone(),
        },
    ));
    let mut looks = tokio::time::interval(LOOK);
    let mut empty_since = Instant::now();
    while !core.is_draining() {
        tokio::select! {
            _ = looks.tick() => look(&core, &locks, &mut empty_since).await,
            () = core.look_now.notified() => look(&core, &locks, &mut empty_since).await,
            () = core.drain_begun.notified() => {}
        }
    }
    if !drain(&core).await {
        hopeless.cancel();
    }
    shutdown.cancel();
    if let Err(error) = keeper.await {
        tracing::error!(%error, "the file's keeper failed");
    }
    // While the owner lock is ours, so is the socket: whoever comes from now on starts another broker.
    if locks.owned.verify().is_ok() {
        remove(&core.options.socket);
    }
    core.ended.cancel();
    drop(locks.owned);
    tracing::info!("ended");
}

fn remove(socket: &std::path::Path) {
    if let Err(error) = std::fs::remove_file(socket) {
        tracing::warn!(%error, socket = %socket.display(), "the socket could not be removed");
    }
}

async fn look(core: &Arc<Core>, locks: &Locks, empty_since: &mut Instant) {
    let found = locks.look().await;
    if let Some(error) = found.replaced {
        tracing::warn!(%error, "the sidecar was replaced; leaving");
        core.leave();
    }
    if found.owner_is_wanted {
        tracing::info!("somebody waits for the owner lock; leaving");
        core.leave();
    }
    if found.file_is_wanted && core.file.lacks_snapshot() {
        // Way is given at the next look, with the copy or without one.
        let core = Arc::clone(core);
        tokio::spawn(async move {
            let _ = File::make_snapshot(&core, PATIENCE * core.options.drain).await;
            core.look_now.notify_one();
        });
    } else {
        core.file.give_way(found.file_is_wanted);
    }
    end_idlers(core).await;
    if !core.sessions.lock().is_empty() {
        *empty_since = Instant::now();
    } else if empty_since.elapsed() >= core.options.idle_exit {
        tracing::info!("nobody has had a session for a while; leaving");
        core.leave();
    }
}

/// What is to be seen of the locks.
#[derive(Default)]
struct Look {
    replaced: Option<LockError>,
    owner_is_wanted: bool,
    file_is_wanted: bool,
}

impl Locks {
    /// On a thread of its own, for a process that is stopped inside a lock's gate holds up whoever looks.
    async fn look(&self) -> Look {
        let (owner, owned, file) = (Arc::clone(&self.owner), Arc::clone(&self.owned), Arc::clone(&self.file));
        let looked = tokio::task::spawn_blocking(move || Look {
            replaced: owned.verify().err(),
            owner_is_wanted: is_wanted(&owner),
            file_is_wanted: is_wanted(&file),
        });
        looked.await.unwrap_or_default()
    }
}

fn is_wanted(lock: &Lock) -> bool {
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
    let seat_is_wanted = core.seats.writer.is_wanted();
    if !file_is_wanted && !seat_is_wanted && !core.floor.is_wanted() && core.admission.view().queued == 0 {
        return;
    }
    let limit = core.options.idle_transaction;
    let overdue = core.file.gives_way_since().filter(|since| since.elapsed() >= core.options.drain);
    for session in core.all_sessions() {
        if let Some(since) = overdue {
            end_overdue(core, &session, since).await;
        }
        for track in session.unread_results(limit) {
            tracing::info!(session = ?session.id, "ending a result that nobody reads");
            session.end_result(&track, errors::unread_result(limit));
        }
        let keeps_file = core.is_draining() || !session.transaction_is_beside_file(core);
        let is_in_the_way = (file_is_wanted && keeps_file) || (seat_is_wanted && session.sits());
        if is_in_the_way && session.idle_in_transaction(limit) {
            tracing::info!(session = ?session.id, "ending an idle transaction");
            session.end_transaction(errors::idle_transaction(limit)).await;
        }
    }
}

/// Ends whatever of a session keeps the file from somebody outside, who has waited for it since then for as long as he
/// must. What has begun later is in nobody's way: reads go on while the file is kept still.
async fn end_overdue(core: &Core, session: &BrokerSession, since: Instant) {
    let limit = core.options.drain;
    for track in session.statements_in_file(core).into_iter().filter(|track| track.began <= since) {
        tracing::info!(session = ?session.id, "ending a statement: somebody waits for the file");
        session.end_result(&track, errors::overdue("statement", limit));
    }
    if session.in_transaction_since(since) && !session.transaction_is_beside_file(core) && !session.is_busy() {
        tracing::info!(session = ?session.id, "ending a transaction: somebody waits for the file");
        session.end_transaction(errors::overdue("transaction", limit)).await;
    }
}

/// Waits until nothing runs and no transaction is open; at the limit, ends them. Says whether all have ended.
async fn drain(core: &Arc<Core>) -> bool {
    let began = Instant::now();
    loop {
        close_those_without_transaction(core);
        let sessions = core.all_sessions();
        if sessions.is_empty() {
            return true;
        }
        if began.elapsed() >= *core.drain_limit.lock() {
            return close_all(core, sessions).await;
        }
        end_idlers(core).await;
        let _ = tokio::time::timeout(DRAIN_LOOK, core.drain_begun.notified()).await;
    }
}

/// Ends whatever is left. A statement that does not let itself be interrupted ends with the process: then it is false.
async fn close_all(core: &Core, sessions: Vec<Arc<BrokerSession>>) -> bool {
    let closing = futures::future::join_all(sessions.iter().map(|session| session.close()));
    let ended = tokio::time::timeout(INTERRUPT, closing).await.is_ok();
    if !ended {
        tracing::error!("a statement cannot be interrupted; the broker ends all the same");
    }
    core.sessions.lock().clear();
    ended
}

fn close_those_without_transaction(core: &Core) {
    core.sessions.lock().retain(|_, session| session.in_transaction() || session.is_busy());
}

impl BrokerSession {
    /// A statement of it waits or runs.
    pub(crate) fn is_busy(&self) -> bool {
        !self.tracks.lock().is_empty()
    }

    /// Its transaction has written, where one session writes at a time.
    fn sits(&self) -> bool {
        !self.kept.lock().seats.is_empty()
    }

    fn idle_in_transaction(&self, limit: Duration) -> bool {
        let kept = self.kept.lock();
        kept.state.in_transaction && kept.last_active.elapsed() >= limit && !self.is_busy()
    }

    fn in_transaction_since(&self, since: Instant) -> bool {
        self.kept.lock().transaction_since.is_some_and(|began| began <= since)
    }

    fn statements_in_file(&self, core: &Core) -> Vec<Arc<crate::track::Track>> {
        let copy_answers = core.file.snapshot().is_some();
        self.tracks.lock().values().filter(|track| track.runs_in_file(copy_answers)).cloned().collect()
    }

    fn unread_results(&self, limit: Duration) -> Vec<Arc<crate::track::Track>> {
        let unread = |track: &&Arc<crate::track::Track>| track.phase() == Phase::Sending && track.unread_for() >= limit;
        self.tracks.lock().values().filter(unread).cloned().collect()
    }
}
