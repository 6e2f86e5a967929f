//! Whether the database file is attached, who uses it, and who waits for it.
//!
//! A statement *enters* the file and gets a [`FileUse`]; while one exists the file stays attached. An open transaction
//! keeps its own. The keeper (in `keeper.rs`) is the only one that attaches and releases: it acts when somebody waits to
//! enter, and when nobody has used the file for a while. Between the two stands [`State`], under one short lock.
//!
//! While a lease is out, a copy may answer those who read (`snapshot.rs`): they enter that instead, and are counted apart.
//!
//! What always holds: `users > 0` only while this process has the file open; a transition begins only with `users == 0`; an error of an attach
//! reaches exactly those who were waiting when it happened.

mod asker;
mod copier;
mod entry;
mod foreign;
mod keeper;
mod outside;
mod snapshot;
mod still;
mod view;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use dbmux_engine::{Access, Engine, EngineError, Holder, ServiceError};
use dbmux_os::runtime::LEASE_VARIABLE;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

pub use self::snapshot::SnapshotOptions;
pub(crate) use self::{
    asker::Asked,
    entry::FileUse,
    keeper::{KeeperOptions, keep},
    view::Changes,
};
use self::{
    asker::Asker,
    entry::{Demand, Source},
    foreign::Sightings,
    view::View,
};
use crate::{
    core::Core,
    deadline::Deadline,
    errors::{self, Waited},
    track::{Line, Phase, Track},
};

/// How long an attach may take before a statement whose deadline has passed does not wait for it any more.
const FIRST_TRY: Duration = Duration::from_secs(5);

/// The pause before a statement is tried again that met a foreign process at work in the file: that one's own transactions
/// are short, or it is waited for a while.
const BESIDE: Duration = Duration::from_millis(5);

/// What a statement needs of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// The file, or a copy that answers in its stead.
    Read,
    /// The file itself.
    ReadNow,
    Write,
}

/// The file, as statements see it.
pub(crate) struct File {
    path: PathBuf,
    engine: Arc<dyn Engine>,
    state: Mutex<State>,
    view: watch::Sender<View>,
    /// Wakes the keeper: somebody waits to enter, or the last one has left.
    kick: Notify,
    sightings: Sightings,
    /// One copy is made at a time.
    making: Arc<tokio::sync::Mutex<()>>,
    attaches: AtomicU64,
    releases: AtomicU64,
}

#[derive(Debug)]
struct State {
    attached: Option<Access>,
    /// An attach or a release is under way, or wanted: nobody enters.
    closed: bool,
    users: usize,
    /// Those of the users who may write.
    writers: usize,
    /// Nobody begins to write: the file is about to be copied.
    held: bool,
    /// Who writes, or reads what was before the last change, is waited for, since then: the file is about to be copied.
    settling: Option<Instant>,
    /// A copy answers those who read, in the file's stead; it is true as of then.
    snapshot: Option<SystemTime>,
    /// Those who read the copy, or came while it answered.
    readers: usize,
    /// Those who want a copy to answer while they have the file, or to copy it themselves.
    askers: Vec<Asker>,
    /// Why there can be none, until the file is attached anew.
    refused: Option<String>,
    last_used: Instant,
    wanted_to_read: usize,
    wanted_to_write: usize,
    /// Somebody outside waits for the file, since then: nobody enters, and the file is released when the last one is out.
    giving_way: Option<Instant>,
    /// The file lock is ours.
    locked: bool,
    /// The lock or the path is gone: nobody enters until the file was released.
    lost: Option<EngineError>,
}

impl File {
    pub(crate) fn new(engine: Arc<dyn Engine>) -> Arc<Self> {
        Arc::new(Self {
            path: engine.path().to_owned(),
            engine,
            state: Mutex::new(State {
                attached: None,
                closed: false,
                users: 0,
                writers: 0,
                held: false,
                settling: None,
                snapshot: None,
                readers: 0,
                askers: Vec::new(),
                refused: None,
                last_used: Instant::now(),
                wanted_to_read: 0,
                wanted_to_write: 0,
                giving_way: None,
                locked: false,
                lost: None,
            }),
            view: watch::Sender::new(View::default()),
            kick: Notify::new(),
            sightings: Sightings::default(),
            making: Arc::default(),
            attaches: AtomicU64::new(0),
            releases: AtomicU64::new(0),
        })
    }

    /// How the file is attached now.
    pub(crate) fn attached(&self) -> Option<Access> {
        self.state.lock().attached
    }

    pub(crate) fn attaches(&self) -> u64 {
        self.attaches.load(Ordering::Relaxed)
    }

    pub(crate) fn releases(&self) -> u64 {
        self.releases.load(Ordering::Relaxed)
    }

    /// The foreign process that those who wait, wait for.
    pub(crate) fn holder(&self) -> Option<Holder> {
        self.view.borrow().holder_now()
    }

    /// Refuses what would wait for a lease which the asking process runs inside of: that one waits for it. 0: not known.
    pub(crate) fn refuse_inside_lease(&self, asker: u32) -> Result<(), ServiceError> {
        let lease = self.view.borrow().lease.clone();
        match lease {
            Some(lease) if asker != 0 && lease.is_around(asker, LEASE_VARIABLE) => {
                Err(errors::inside_lease(&self.path, self.holder()))
            }
            _ => Ok(()),
        }
    }

    /// How many outside wait for the file before this broker.
    pub(crate) fn outside(&self) -> usize {
        self.view.borrow().outside
    }

    /// Waits until the file is attached as needed, and keeps it so.
    ///
    /// # Errors
    /// The attach's own error; `DATABASE_LOCKED` with the holder at the deadline.
    pub(crate) async fn enter(
        core: &Arc<Core>,
        need: Need,
        deadline: Deadline,
        track: &Track,
    ) -> Result<FileUse, ServiceError> {
        let file = &core.file;
        if let Some(entered) = file.try_enter(need)? {
            return Ok(entered);
        }
        let mut view = file.view.subscribe();
        let since = view.borrow_and_update().turn;
        let mut first_try = file.is_free_to_attach();
        let _demand = Demand::new(file, need);
        let waits_for = Arc::downgrade(core);
        let waiter = core.waiters.join();
        let (ahead, before) = (core.before_admitted(waiter.counter()), core.before_admitted(waiter.counter()));
        let line =
            move || Line { ahead: ahead(), holder: waits_for.upgrade().and_then(|core| Self::waited_for(&core)) };
        track.wait(Phase::WaitingForFile, line);
        loop {
            if let Some(entered) = file.try_enter(need)? {
                return Ok(entered);
            }
            file.kick.notify_one();
            tokio::select! {
                biased;
                _ = view.changed() => first_try = false,
                () = track.cancel.cancelled() => return Err(track.cancelled()),
                // To attach is no wait for others: whoever never waits still hears how that went.
                () = deadline.reached(), if !first_try => return Err(Self::gave_up(core, need, deadline, before())),
                () = tokio::time::sleep(FIRST_TRY), if first_try => first_try = false,
            }
            let seen = view.borrow_and_update().clone();
            if let Some((turn, error)) = seen.failure
                && turn > since
            {
                return Err(error);
            }
            file.refuse_inside_lease(track.asker)?;
        }
    }

    /// Waits until a foreign process that is at work in the attached file may have gone, or may be done with it, for one
    /// who then tries again.
    ///
    /// # Errors
    /// `DATABASE_LOCKED` with the process, at the deadline.
    pub(crate) async fn wait_for_another(
        core: &Arc<Core>,
        deadline: Deadline,
        track: &Track,
    ) -> Result<(), ServiceError> {
        let foreign = foreign::find(&core.file).await;
        let (holder, process) = (foreign.holder.clone(), foreign.process);
        let shown = holder.clone();
        track.wait(Phase::WaitingForFile, move || Line { ahead: 0, holder: shown.clone() });
        tokio::select! {
            biased;
            () = track.cancel.cancelled() => Err(track.cancelled()),
            () = deadline.reached() => Err(Waited { database: &core.file.path, deadline }.locked(0, holder)),
            () = foreign::gone(process, foreign::jittered(BESIDE)) => Ok(()),
        }
    }

    /// For whom those wait who cannot enter: a process that has the file, else the session that keeps it as it is.
    fn waited_for(core: &Core) -> Option<Holder> {
        core.file.holder().or_else(|| core.file.keeps_still()).or_else(|| core.longest_in_file())
    }

    fn gave_up(core: &Core, need: Need, deadline: Deadline, ahead: usize) -> ServiceError {
        let error = Waited { database: &core.file.path, deadline }.locked(ahead, Self::waited_for(core));
        if let Some(as_of) = core.file.snapshot().filter(|_| need == Need::ReadNow) {
            let as_of = errors::rfc3339(as_of);
            return error.suggest(format!("wait longer; --reads snapshot answers as of {as_of}"));
        }
        match &core.file.view.borrow().no_snapshot {
            Some(why) => error.suggest(format!("wait longer; reads wait too: {why}")),
            None => error,
        }
    }

    /// Enters, where nobody has to be waited for.
    pub(crate) fn try_enter(self: &Arc<Self>, need: Need) -> Result<Option<FileUse>, ServiceError> {
        let mut state = self.state.lock();
        if let Some(lost) = &state.lost {
            return Err(errors::engine(lost.clone(), &self.path));
        }
        if need == Need::Read && state.snapshot.is_some() {
            state.readers += 1;
            return Ok(Some(FileUse::new(self, Source::Snapshot, Access::ReadOnly, false)));
        }
        let Some(access) = state.attached else { return Ok(None) };
        let writes = need == Need::Write;
        // While a copy is made, whoever reads goes on: it is for them.
        let shut = state.closed || (state.giving_way.is_some() && !state.held);
        if shut || (writes && (access == Access::ReadOnly || state.held)) {
            return Ok(None);
        }
        state.users += 1;
        state.writers += usize::from(writes);
        drop(state);
        Ok(Some(FileUse::new(self, Source::File, access, writes)))
    }

    /// Nothing that is known here stands between it and being attached.
    fn is_free_to_attach(&self) -> bool {
        let state = self.state.lock();
        let unattached = state.attached.is_none() && state.snapshot.is_none();
        unattached && state.giving_way.is_none() && self.holder().is_none()
    }

    /// Lets nobody enter while somebody outside waits for the file.
    pub(crate) fn give_way(&self, wanted: bool) {
        let mut state = self.state.lock();
        if state.giving_way.is_some() != wanted {
            state.giving_way = wanted.then(Instant::now);
            drop(state);
            self.kick.notify_one();
            self.tell(|_| {});
        }
    }

    /// Since when somebody outside waits for the file to be released, or to be kept still: one who asks for a copy, and then
    /// for the file, waits once.
    pub(crate) fn gives_way_since(&self) -> Option<Instant> {
        let state = self.state.lock();
        let way = state.giving_way.filter(|_| state.attached.is_some() || state.users > 0);
        let since = way.or(state.settling)?;
        Some(state.askers.iter().map(|asker| asker.since).fold(since, Instant::min))
    }

    /// The file lock is this broker's: it has the file, or is about to.
    pub(crate) fn is_locked(&self) -> bool {
        self.state.lock().locked
    }

    /// Tells of every change of what others wait for.
    pub(crate) fn changes(&self) -> Changes {
        Changes(self.view.subscribe())
    }

    /// Somebody here waits for the file to be attached, or attached anew; or reads a copy that grows old.
    pub(crate) fn is_wanted(&self) -> bool {
        let state = self.state.lock();
        state.wanted_to_read + state.wanted_to_write > 0 || state.snapshot.is_some()
    }

    /// Somebody waits, here or outside, for the file to be released or attached anew.
    pub(crate) fn is_waited_for(&self) -> bool {
        let state = self.state.lock();
        state.settling.is_some() || state.giving_way.is_some() || state.wanted_to_read + state.wanted_to_write > 0
    }

    /// The foreign processes that have the file now.
    pub(crate) async fn foreign_holders(&self) -> Vec<Holder> {
        foreign::find(self).await.all
    }

    /// Whether the path still names the attached file; with `thorough`, whether our lock is still there. When not, nobody
    /// enters until the file was released.
    ///
    /// # Errors
    /// [`EngineError::FileLost`]; [`EngineError::Unverified`] where that cannot be told: what was written before is
    /// committed, and must not be written once more.
    pub(crate) fn verify(&self, thorough: bool) -> Result<(), EngineError> {
        let Err(error) = self.engine.verify(thorough) else { return Ok(()) };
        if !matches!(error, EngineError::FileLost { .. }) {
            return Err(EngineError::Unverified { path: self.path.clone(), message: error.to_string() });
        }
        tracing::error!(%error, "the file is lost; nothing more is written to it");
        self.state.lock().lost = Some(error.clone());
        self.kick.notify_one();
        Err(error)
    }

    /// Lets nobody enter. Answers with how many are inside.
    fn close(&self) -> usize {
        let mut state = self.state.lock();
        state.closed = true;
        state.users + state.readers
    }

    fn attached_as(&self, access: Access) {
        self.attaches.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock();
        state.attached = Some(access);
        (state.snapshot, state.refused) = (None, None);
        // It was our turn. Whoever waits outside now came later, and is seen at the next look.
        state.giving_way = None;
        drop(state);
        self.reopened();
    }

    fn released(&self) {
        self.releases.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock();
        state.attached = None;
        (state.snapshot, state.refused) = (None, None);
        // Whoever waits outside can have it now; whoever comes here stands behind him, in the file lock's line.
        (state.lost, state.giving_way) = (None, None);
        state.closed = false;
    }

    /// Somebody outside may have the file; a copy answers.
    fn handed_over(&self) {
        self.releases.fetch_add(1, Ordering::Relaxed);
        self.state.lock().lost = None;
    }

    /// Lets nobody read the copy any more, unless somebody does, waits for the file, or wants a new one.
    fn close_unread_snapshot(&self) -> bool {
        let mut state = self.state.lock();
        let unread =
            state.readers == 0 && state.wanted_to_read + state.wanted_to_write == 0 && !state.is_stand_in_wanted();
        if unread {
            state.snapshot = None;
        }
        unread
    }

    /// Lets those enter who wait, and counts the idle time anew.
    fn reopened(&self) {
        let mut state = self.state.lock();
        state.closed = false;
        state.last_used = Instant::now();
    }

    fn lock_is_ours(&self, ours: bool) {
        self.state.lock().locked = ours;
    }

    /// Whoever had the file is waited for no more. Where nobody was, that is no change: one who never waits would give up.
    fn waits_for_nobody(&self) {
        if self.holder().is_some() {
            self.tell(|view| view.waits_for(None));
        }
    }

    /// The same of a lease. A foreign process may still be there: that is known when the file is attached.
    fn lease_is_over(&self) {
        let waited = self.view.borrow().lease.is_some();
        if waited {
            self.waits_for_nobody();
        }
    }

    fn tell(&self, change: impl FnOnce(&mut View)) {
        self.view.send_modify(|view| {
            view.turn += 1;
            change(view);
        });
    }
}

impl State {
    fn must_go(&self) -> bool {
        self.closed || (self.giving_way.is_some() && !self.held) || self.lost.is_some()
    }

    /// Somebody wants a copy to answer while he has the file.
    fn is_stand_in_wanted(&self) -> bool {
        self.askers.iter().any(|asker| asker.wants_stand_in)
    }

    /// Nobody is inside, or may still be.
    fn is_empty(&self) -> bool {
        self.users == 0 && (self.readers == 0 || self.snapshot.is_some())
    }
}
