//! The one who attaches and releases the file.
//!
//! It acts on what it finds in [`State`], one step at a time: attach when somebody waits, make room for a writer when a
//! foreign reader has left, release when nobody has used the file for a while. It takes the database's *file* lock before
//! it attaches, and drops it after it has released, or handed the file over while a copy answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dbmux_engine::{Access, Engine, EngineError, ServiceError};
use dbmux_lock::{Guard, Lock};
use dbmux_os::process::ProcessId;
use tokio_util::sync::CancellationToken;

use super::{File, Need, State, foreign, outside, snapshot::CLOSING};
use crate::errors;

/// How often the lock of an attached file is looked at.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// How long the last users may take when the broker ends.
const LAST_USERS: Duration = Duration::from_secs(5);
/// How often a file in use is looked at, at most.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);
/// After how long without a use an attached file's idle work begins, at most.
const IDLE: Duration = Duration::from_secs(1);
/// The shortest and the longest pause between two attempts to attach a file that somebody else has.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

/// How a file is kept.
pub(crate) struct KeeperOptions {
    pub(crate) file_lock: Arc<Lock>,
    pub(crate) release_after: Duration,
    pub(crate) shutdown: CancellationToken,
    /// A user of the file will not leave it: it is not waited for at the end.
    pub(crate) hopeless: CancellationToken,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Attach(Need),
    /// Attached read-only, and a writer waits.
    Upgrade,
    Release,
    /// Nobody has used it for a while: what the engine does in such moments.
    IdleWork,
    /// A copy answers, and nobody is in the file any more: somebody outside may have it.
    HandOver,
    /// A copy answers: the file itself shall, as soon as it can be had.
    TakeBack(Need),
    WaitFor(Duration),
    Wait,
}

struct Keeper {
    file: Arc<File>,
    options: KeeperOptions,
    guard: Option<Guard>,
    /// For whom it waited last, and how long the next pause is at most.
    waited_for: Option<ProcessId>,
    pause: Duration,
    /// When the lock of the attached file was looked at last.
    watched: Instant,
    /// Whether the engine's work in an idle moment is done, and since when nobody had used the file then.
    idle_work: Option<(Arc<AtomicBool>, Instant)>,
}

/// Keeps the file until `shutdown`, and releases it then.
pub(crate) async fn keep(file: Arc<File>, options: KeeperOptions) {
    let (waited_for, watched) = (None, Instant::now());
    let mut keeper = Keeper { file, options, guard: None, waited_for, pause: BACK_OFF.0, watched, idle_work: None };
    let shutdown = keeper.options.shutdown.clone();
    while !shutdown.is_cancelled() {
        match keeper.next() {
            Step::Attach(need) => keeper.attach(need).await,
            Step::Upgrade => keeper.upgrade().await,
            Step::Release => keeper.release().await,
            Step::IdleWork => keeper.work(),
            Step::HandOver => keeper.hand_over().await,
            Step::TakeBack(need) => keeper.take_back(need).await,
            Step::WaitFor(time) => {
                tokio::select! {
                    () = keeper.file.kick.notified() => {}
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep(time) => keeper.watch().await,
                }
            }
            Step::Wait => {
                tokio::select! {
                    () = keeper.file.kick.notified() => {}
                    () = shutdown.cancelled() => {}
                }
            }
        }
    }
    keeper.last_release().await;
}

impl Keeper {
    fn next(&self) -> Step {
        let state = self.file.state.lock();
        let wanted = state.wanted_to_read + state.wanted_to_write;
        if state.snapshot.is_some() {
            return self.beside_snapshot(&state);
        }
        match state.attached {
            None if state.wanted_to_write > 0 => Step::Attach(Need::Write),
            None if state.wanted_to_read > 0 => Step::Attach(Need::Read),
            None => Step::Wait,
            Some(_) if state.is_empty() && state.must_go() => Step::Release,
            Some(Access::ReadOnly) if state.wanted_to_write > 0 && !state.closed => Step::Upgrade,
            // Nobody says so when the last one leaves, for that would cost every statement: looked at this often, an
            // idle file is released in time.
            Some(_) if !state.is_empty() || wanted > 0 => {
                Step::WaitFor(self.options.release_after.clamp(SHORTEST_LOOK, WATCH_INTERVAL))
            }
            Some(access) => self.idle(access, state.last_used),
        }
    }

    /// Attached, and nobody has used it since then: the engine's own work first, for as long as nobody comes.
    fn idle(&self, access: Access, last_used: Instant) -> Step {
        let (idle, release_after) = (last_used.elapsed(), self.options.release_after);
        let work = self
            .idle_work
            .as_ref()
            .filter(|(_, since)| *since == last_used)
            .map(|(done, _)| done.load(Ordering::Acquire));
        let due = if work.is_none() && access == Access::ReadWrite { release_after.min(IDLE) } else { release_after };
        match (due.checked_sub(idle).filter(|left| !left.is_zero()), work) {
            (Some(left), _) => Step::WaitFor(left.min(WATCH_INTERVAL)),
            (None, Some(false)) => Step::Wait,
            (None, None) if access == Access::ReadWrite => Step::IdleWork,
            (None, _) => Step::Release,
        }
    }

    /// Begins the engine's work for idle moments; its end is told.
    fn work(&mut self) {
        let (file, since, done) =
            (Arc::clone(&self.file), self.file.state.lock().last_used, Arc::new(AtomicBool::new(false)));
        self.idle_work = Some((Arc::clone(&done), since));
        tokio::spawn(async move {
            let engine = Arc::clone(&file.engine);
            let _ = tokio::task::spawn_blocking(move || engine.idle_work()).await;
            done.store(true, Ordering::Release);
            file.kick.notify_one();
        });
    }

    /// The file is let go when somebody has asked for it and the last one is out of it; it is taken back when nobody asks.
    fn beside_snapshot(&self, state: &State) -> Step {
        let need = if state.wanted_to_write > 0 { Need::Write } else { Need::Read };
        match (self.guard.is_some(), state.users) {
            (false, _) => Step::TakeBack(need),
            (true, 0) if state.giving_way.is_some() => Step::HandOver,
            (true, 0) if !state.is_stand_in_wanted() => Step::TakeBack(need),
            (true, _) => Step::Wait,
        }
    }

    /// Lets the file lock go: nobody here has the file any more.
    async fn hand_over(&mut self) {
        match self.has_file_open().await {
            false => {
                self.file.handed_over();
                self.let_file_lock_go();
                tracing::debug!("handed over");
                self.file.tell(|_| {});
                let engine = Arc::clone(&self.file.engine);
                tokio::task::spawn_blocking(move || engine.tidy());
            }
            // The last transaction that reads it is about to end.
            true => tokio::time::sleep(CLOSING).await,
        }
    }

    /// Waits for the file lock, and has the file answer again; where nobody reads or writes, only drops the copy.
    async fn take_back(&mut self, need: Need) {
        if self.guard.is_none() {
            match self.take_file_lock().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, "the file lock cannot be taken; trying again later");
                    self.file.tell(|view| view.failure = Some((view.turn, error)));
                    return tokio::time::sleep(BACK_OFF.1).await;
                }
            }
        }
        if self.file.close_unread_snapshot() { self.release().await } else { self.attach(need).await }
    }

    async fn attach(&mut self, need: Need) {
        if self.guard.is_none() {
            match self.take_file_lock().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return self.file.tell(|view| view.failure = Some((view.turn, error))),
            }
        }
        match self.try_attach(need).await {
            Ok(access) => self.attached(access),
            // It is ourselves: a transaction that has read it is about to end.
            Err(EngineError::Locked { .. }) if self.has_file_open().await => {
                self.file.tell(|_| {});
                tokio::time::sleep(self.longer_pause()).await;
            }
            Err(EngineError::Locked { .. }) => {
                let foreign = foreign::find(&self.file).await;
                self.let_file_lock_go();
                self.wait_for(foreign).await;
            }
            Err(error) => {
                // A copy of what is not there any more, or is nothing that can be read, answers nobody.
                if self.file.snapshot().is_some() {
                    self.file.released();
                    let _ = self.engine(|engine| engine.release()).await;
                }
                self.let_file_lock_go();
                let error = errors::engine(error, &self.file.path);
                self.file.tell(|view| {
                    view.waits_for(None);
                    view.failure = Some((view.turn, error));
                });
            }
        }
    }

    /// Attaches read-write; beside foreign readers, and for readers only, read-only.
    async fn try_attach(&self, need: Need) -> Result<Access, EngineError> {
        match self.engine(|engine| engine.attach(Access::ReadWrite)).await {
            Ok(attachment) => Ok(attachment.access),
            Err(locked @ EngineError::Locked { .. }) => {
                let anyone_reads = need == Need::Read || self.file.state.lock().wanted_to_read > 0;
                if !anyone_reads {
                    return Err(locked);
                }
                // Whoever has it for writing refuses this as well.
                let attachment = self.engine(|engine| engine.attach(Access::ReadOnly)).await.map_err(|_| locked)?;
                Ok(attachment.access)
            }
            Err(error) => Err(error),
        }
    }

    fn attached(&mut self, access: Access) {
        self.pause = BACK_OFF.0;
        self.file.attached_as(access);
        tracing::debug!(?access, "attached");
        self.file.tell(|view| view.waits_for(None));
    }

    /// A writer waits beside a read-only attachment. While a foreign reader is there, readers go on; when it has left,
    /// nobody enters until the last reader of ours is out, and the file is attached anew.
    async fn upgrade(&mut self) {
        let foreign = foreign::find(&self.file).await;
        if foreign.holder.is_some() {
            self.wait_for(foreign).await;
            return;
        }
        // From here on our own readers are the ones who are waited for.
        self.file.tell(|view| view.waits_for(None));
        if self.file.close() == 0 {
            self.release().await;
        }
    }

    async fn release(&mut self) {
        if self.file.close() > 0 && self.file.snapshot().is_none() {
            return;
        }
        match self.engine(|engine| engine.release()).await {
            Ok(()) => {
                self.file.released();
                self.let_file_lock_go();
                self.file.waits_for_nobody();
                tracing::debug!("released");
                // Nobody waits for this: who wants the file can have it.
                let engine = Arc::clone(&self.file.engine);
                tokio::task::spawn_blocking(move || engine.tidy());
            }
            Err(error) => {
                tracing::warn!(%error, "the file could not be released; trying again later");
                self.file.reopened();
                tokio::time::sleep(BACK_OFF.1).await;
            }
        }
        self.file.tell(|_| {});
    }

    /// Releases for good, as soon as the last user is out: a batch may still be on its way to the disk.
    async fn last_release(&mut self) {
        let over = tokio::time::sleep(LAST_USERS);
        tokio::pin!(over);
        while self.file.close() > 0 {
            tokio::select! {
                () = self.file.kick.notified() => {}
                () = self.options.hopeless.cancelled() => return,
                () = &mut over => return tracing::warn!("the file is still in use; the process's end releases it"),
            }
        }
        if self.file.attached().is_some() || self.file.snapshot().is_some() {
            self.release().await;
        }
    }

    async fn watch(&mut self) {
        let due = self.watched.elapsed() >= WATCH_INTERVAL;
        if due && self.file.attached().is_some() {
            self.watched = Instant::now();
            let file = Arc::clone(&self.file);
            let _ = tokio::task::spawn_blocking(move || file.verify(true)).await;
        }
    }

    /// Tells everybody who waits for whom they wait, and sleeps until that process has ended or let go, or a short pause
    /// has passed: letting go without ending is nothing that the kernel tells.
    async fn wait_for(&mut self, foreign: foreign::Foreign) {
        let foreign::Foreign { holder, process, .. } = foreign;
        self.file.tell(|view| view.waits_for(holder));
        if process != self.waited_for {
            // Somebody else, or nobody any more: whoever had it went while it was looked for.
            self.waited_for = process;
            self.pause = BACK_OFF.0;
        }
        let pause = foreign::jittered(self.longer_pause());
        tokio::select! {
            () = foreign::gone(process, pause) => {}
            () = self.options.shutdown.cancelled() => {}
        }
    }

    /// The next pause, which the one behind it is twice as long as.
    fn longer_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(BACK_OFF.1);
        pause
    }

    /// Takes the file lock. `false`: nobody wants the file any more, or what the lock's last owner left behind has it.
    async fn take_file_lock(&mut self) -> Result<bool, ServiceError> {
        let taken = outside::take_file_lock(&self.file, &self.options).await?;
        let Some(guard) = taken else { return Ok(false) };
        self.guard = outside::last_owner_gone(&self.file, guard, &self.options.shutdown).await;
        self.file.lock_is_ours(self.guard.is_some());
        self.file.lease_is_over();
        Ok(self.guard.is_some())
    }

    fn let_file_lock_go(&mut self) {
        self.guard = None;
        self.file.lock_is_ours(false);
    }

    /// As far as that can be told.
    async fn has_file_open(&self) -> bool {
        self.engine(|engine| Ok(engine.has_file_open())).await.unwrap_or(true)
    }

    async fn engine<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Engine) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let engine = Arc::clone(&self.file.engine);
        match tokio::task::spawn_blocking(move || call(engine.as_ref())).await {
            Ok(answer) => answer,
            Err(error) => Err(EngineError::Internal { message: error.to_string() }),
        }
    }
}
