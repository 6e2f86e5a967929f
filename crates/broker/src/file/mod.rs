//! Whether the database file is attached, who uses it, and who waits for it.
//!
//! A statement *enters* the file and gets a [`FileUse`]; while one exists the file stays attached. An open transaction
//! keeps its own. The keeper (in `keeper.rs`) is the only one that attaches and releases: it acts when somebody waits to
//! enter, and when nobody has used the file for a while. Between the two stands [`State`], under one short lock.
//!
//! What always holds: `users > 0` only while attached; a transition begins only with `users == 0`; an error of an attach
//! reaches exactly those who were waiting when it happened.

mod foreign;
mod keeper;
mod outside;
mod view;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dbmux_engine::{Access, Engine, EngineError, Holder, ServiceError};
use dbmux_os::runtime::LEASE_VARIABLE;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use self::{foreign::Sightings, view::View};
pub(crate) use self::{
    keeper::{KeeperOptions, keep},
    view::Changes,
};
use crate::{
    core::Core,
    deadline::Deadline,
    errors::{self, Waited},
    track::{Line, Phase, Track},
};

/// How long an attach may take before a statement whose deadline has passed does not wait for it any more.
const FIRST_TRY: Duration = Duration::from_secs(5);

/// What a statement needs of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Read,
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
    attaches: AtomicU64,
    releases: AtomicU64,
}

#[derive(Debug)]
struct State {
    attached: Option<Access>,
    /// An attach or a release is under way, or wanted: nobody enters.
    closed: bool,
    users: usize,
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

/// The right to use the attached file; it stays attached until this is dropped.
pub(crate) struct FileUse {
    file: Arc<File>,
    /// As attached: read-only when a foreign reader has the file.
    pub(crate) access: Access,
}

struct Demand<'a> {
    file: &'a File,
    need: Need,
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
        self.view.borrow().holder.clone()
    }

    /// Refuses a statement that would wait for a lease which its own process runs inside of: that one waits for it.
    pub(crate) fn refuse_inside_lease(&self, track: &Track) -> Result<(), ServiceError> {
        let (lease, holder) = {
            let view = self.view.borrow();
            (view.lease.clone(), view.holder.clone())
        };
        match lease {
            Some(lease) if track.asker != 0 && lease.is_around(track.asker, LEASE_VARIABLE) => {
                Err(errors::inside_lease(&self.path, holder))
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
                () = deadline.reached(), if !first_try => return Err(Self::gave_up(core, deadline, before())),
                () = tokio::time::sleep(FIRST_TRY), if first_try => first_try = false,
            }
            let seen = view.borrow_and_update().clone();
            if let Some((turn, error)) = seen.failure
                && turn > since
            {
                return Err(error);
            }
            file.refuse_inside_lease(track)?;
        }
    }

    /// For whom those wait who cannot enter: a process that has the file, else the session that keeps it as it is.
    fn waited_for(core: &Core) -> Option<Holder> {
        core.file.holder().or_else(|| core.longest_in_file())
    }

    fn gave_up(core: &Core, deadline: Deadline, ahead: usize) -> ServiceError {
        Waited { database: &core.file.path, deadline }.locked(ahead, Self::waited_for(core))
    }

    fn try_enter(self: &Arc<Self>, need: Need) -> Result<Option<FileUse>, ServiceError> {
        let mut state = self.state.lock();
        if let Some(lost) = &state.lost {
            return Err(errors::engine(lost.clone(), &self.path));
        }
        let Some(access) = state.attached else { return Ok(None) };
        if state.closed || state.giving_way.is_some() || (need == Need::Write && access == Access::ReadOnly) {
            return Ok(None);
        }
        state.users += 1;
        drop(state);
        Ok(Some(FileUse { file: Arc::clone(self), access }))
    }

    /// Nothing that is known here stands between it and being attached.
    fn is_free_to_attach(&self) -> bool {
        let state = self.state.lock();
        state.attached.is_none() && state.giving_way.is_none() && self.holder().is_none()
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

    /// Since when somebody outside waits for the file to be released.
    pub(crate) fn gives_way_since(&self) -> Option<Instant> {
        let state = self.state.lock();
        state.giving_way.filter(|_| state.attached.is_some())
    }

    /// The file lock is this broker's: it has the file, or is about to.
    pub(crate) fn is_locked(&self) -> bool {
        self.state.lock().locked
    }

    /// Tells of every change of what others wait for.
    pub(crate) fn changes(&self) -> Changes {
        Changes(self.view.subscribe())
    }

    /// Somebody here waits for the file to be attached, or attached anew.
    pub(crate) fn is_wanted(&self) -> bool {
        let state = self.state.lock();
        state.wanted_to_read + state.wanted_to_write > 0
    }

    /// Somebody waits, here or outside, for the file to be released or attached anew.
    pub(crate) fn is_waited_for(&self) -> bool {
        let state = self.state.lock();
        state.giving_way.is_some() || state.wanted_to_read + state.wanted_to_write > 0
    }

    /// The foreign processes that have the file now.
    pub(crate) async fn foreign_holders(&self) -> Vec<Holder> {
        foreign::find(self).await.all
    }

    /// Whether the path still names the attached file; with `thorough`, whether our lock is still there. When not, nobody
    /// enters until the file was released.
    pub(crate) fn verify(&self, thorough: bool) -> Result<(), EngineError> {
        let found = self.engine.verify(thorough);
        if let Err(error @ EngineError::FileLost { .. }) = &found {
            tracing::error!(%error, "the file is lost; nothing more is written to it");
            self.state.lock().lost = Some(error.clone());
            self.kick.notify_one();
        }
        found
    }

    /// Lets nobody enter. Answers with how many are inside.
    fn close(&self) -> usize {
        let mut state = self.state.lock();
        state.closed = true;
        state.users
    }

    fn attached_as(&self, access: Access) {
        self.attaches.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock();
        state.attached = Some(access);
        // It was our turn. Whoever waits outside now came later, and is seen at the next look.
        state.giving_way = None;
        drop(state);
        self.reopened();
    }

    fn released(&self) {
        self.releases.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock();
        state.attached = None;
        state.lost = None;
        state.closed = false;
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

    fn tell(&self, change: impl FnOnce(&mut View)) {
        self.view.send_modify(|view| {
            view.turn += 1;
            change(view);
        });
    }
}

impl State {
    fn must_go(&self) -> bool {
        self.closed || self.giving_way.is_some() || self.lost.is_some()
    }
}

impl<'a> Demand<'a> {
    fn new(file: &'a File, need: Need) -> Self {
        let demand = Self { file, need };
        *demand.count(&mut file.state.lock()) += 1;
        demand
    }

    fn count<'s>(&self, state: &'s mut State) -> &'s mut usize {
        match self.need {
            Need::Read => &mut state.wanted_to_read,
            Need::Write => &mut state.wanted_to_write,
        }
    }
}

impl Drop for Demand<'_> {
    fn drop(&mut self) {
        *self.count(&mut self.file.state.lock()) -= 1;
        self.file.kick.notify_one();
    }
}

impl Drop for FileUse {
    fn drop(&mut self) {
        let mut state = self.file.state.lock();
        state.users -= 1;
        if state.users == 0 {
            state.last_used = Instant::now();
            if state.must_go() || state.wanted_to_write > 0 {
                self.file.kick.notify_one();
            }
        }
    }
}
