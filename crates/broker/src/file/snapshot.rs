//! The copy that answers those who read while a lease is out.
//!
//! It is made while the file is still ours. Nobody begins to write from then on; those who write come to their end; what is
//! committed is brought into the file, a child process copies that, and the copy takes the file's place in the engine.
//! Whoever reads the file then goes on with it, until the last of them is out: only then is the file let go. Whoever comes
//! reads the copy. So nobody who reads waits, and nothing that was acknowledged is missing in the copy.
//!
//! Where there can be none, it is said why, to the asker and to those who read, and reads wait.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use dbmux_engine::{Access, EngineError};
use tokio::sync::OwnedMutexGuard;

use super::{
    Demand, FIRST_TRY, File, FileUse, Need,
    copier::{Copier, Leash},
};
use crate::{core::Core, errors, session::BrokerSession};

/// The pause between two looks at whether the engine has closed the file.
pub(super) const CLOSING: Duration = Duration::from_millis(1);
/// The shortest and the longest pause between two attempts to bring what is committed into the file.
const SETTLING: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// How copies are made.
#[derive(Debug, Clone)]
pub struct SnapshotOptions {
    /// The program that copies, with its first arguments; empty: there are no snapshots.
    pub program: Vec<PathBuf>,
    /// Bytes of a file that is copied, where it cannot be shared.
    pub limit: u64,
}

/// Somebody wants the file for himself, and a copy to answer meanwhile; until this is dropped.
pub(crate) struct Asked(Arc<File>);

impl Asked {
    pub(crate) fn new(file: &Arc<File>) -> Self {
        file.state.lock().asked += 1;
        Self(Arc::clone(file))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.state.lock().asked -= 1;
        self.0.kick.notify_one();
    }
}

/// Those are waited for who keep the file from being copied, until this is dropped.
struct Settling<'a>(&'a File);

impl<'a> Settling<'a> {
    fn new(file: &'a File) -> Self {
        file.state.lock().settling = true;
        Self(file)
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        self.0.state.lock().settling = false;
    }
}

/// Nobody begins to write, until this is dropped.
struct Held(Arc<File>);

impl Held {
    fn new(file: &Arc<File>) -> Self {
        file.state.lock().held = true;
        Self(Arc::clone(file))
    }
}

/// Nobody writes to the file, and all that is committed is in it; until this is dropped.
#[expect(dead_code, reason = "held, not read")]
pub(crate) struct Still {
    held: Held,
    inside: FileUse,
    one_at_a_time: OwnedMutexGuard<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.state.lock().held = false;
        self.0.kick.notify_one();
        self.0.tell(|_| {});
    }
}

impl File {
    /// As of when the copy is true that answers reads now.
    pub(crate) fn snapshot(&self) -> Option<SystemTime> {
        self.state.lock().snapshot
    }

    /// A copy answers, or is being made: who has begun to read cannot write.
    pub(crate) fn is_held_or_copied(&self) -> bool {
        let state = self.state.lock();
        state.held || state.snapshot.is_some()
    }

    /// A copy is to be made before way is given: somebody wants one, and there is none.
    pub(crate) fn lacks_snapshot(&self) -> bool {
        let state = self.state.lock();
        let could = state.refused.is_none() && state.attached == Some(Access::ReadWrite);
        could && state.asked > 0 && state.snapshot.is_none() && !state.held
    }

    /// Makes a copy answer in the file's stead, unless one does.
    ///
    /// # Errors
    /// Why there can be none, in words for a person.
    pub(crate) async fn make_snapshot(core: &Arc<Core>, patience: Duration) -> Result<SystemTime, String> {
        let file = &core.file;
        let one_at_a_time = Arc::clone(&file.making).lock_owned().await;
        if let Some(as_of) = file.snapshot() {
            return Ok(as_of);
        }
        let began = Instant::now();
        let made = file.make(core, one_at_a_time, began + patience.min(core.options.drain)).await;
        match &made {
            Ok(as_of) => tracing::info!(as_of = errors::rfc3339(*as_of), took = ?began.elapsed(), "a snapshot answers"),
            Err(why) => {
                tracing::info!(why, "no snapshot: reads wait");
                let mut state = file.state.lock();
                state.refused = state.attached.map(|_| why.clone());
            }
        }
        let why = made.as_ref().err().cloned();
        file.tell(|view| view.no_snapshot = why);
        made
    }

    /// Keeps everybody from writing, and brings all that is committed into the file, for somebody who copies it.
    ///
    /// # Errors
    /// Why that cannot be, in words for a person.
    pub(crate) async fn hold_still(core: &Arc<Core>, patience: Duration) -> Result<(SystemTime, Still), String> {
        let until = Instant::now() + patience;
        let file = &core.file;
        let one_at_a_time = Arc::clone(&file.making).lock_owned().await;
        file.still(core, one_at_a_time, until).await
    }

    async fn still(
        self: &Arc<Self>,
        core: &Arc<Core>,
        one_at_a_time: OwnedMutexGuard<()>,
        until: Instant,
    ) -> Result<(SystemTime, Still), String> {
        // To attach is no wait for others.
        let inside = self.enter_to_copy(until.max(Instant::now() + FIRST_TRY)).await?;
        let held = Held::new(self);
        let settling = Settling::new(self);
        self.until_nobody_writes(core, until).await?;
        let still = Still { held, inside, one_at_a_time };
        let as_of = self.until_settled(core, until).await?;
        drop(settling);
        Ok((as_of, still))
    }

    /// Brings what is committed into the file. Transactions that began before the last change, and read, keep it out.
    async fn until_settled(&self, core: &Core, until: Instant) -> Result<SystemTime, String> {
        let mut pause = SETTLING.0;
        loop {
            let engine = Arc::clone(&self.engine);
            let settled = tokio::task::spawn_blocking(move || engine.settle().map(|()| SystemTime::now()));
            match settled.await.map_err(|error| error.to_string())? {
                Ok(as_of) => return Ok(as_of),
                Err(EngineError::Conflict { .. }) if Instant::now() + pause < until => {}
                Err(EngineError::Conflict { .. }) => return Err(whose("read what was before for too long", core)),
                Err(error) => return Err(format!("what is committed could not be brought into the file: {error}")),
            }
            // Transactions that are idle for too long are ended at the next look.
            core.look_now.notify_one();
            // The engine does not tell when the last of them ends.
            tokio::time::sleep(pause).await;
            pause = SETTLING.1.min(pause * 2);
        }
    }

    async fn make(
        self: &Arc<Self>,
        core: &Arc<Core>,
        one_at_a_time: OwnedMutexGuard<()>,
        until: Instant,
    ) -> Result<SystemTime, String> {
        let SnapshotOptions { program, limit } = core.options.snapshots.clone();
        if program.is_empty() {
            return Err("this broker makes no snapshots".to_owned());
        }
        let (as_of, still) = self.still(core, one_at_a_time, until).await?;
        let engine = Arc::clone(&self.engine);
        let by_itself = tokio::task::spawn_blocking(move || engine.stand_in_by_itself()).await;
        if let Some(made) = by_itself.map_err(|error| error.to_string())? {
            let as_of = made.map_err(|error| format!("the engine made no copy: {error}"))?;
            self.is_copied(as_of, still);
            return Ok(as_of);
        }
        let path = self.path.clone();
        let started = tokio::task::spawn_blocking(move || Copier { program, limit }.start(&path));
        let started = started.await.map_err(|error| error.to_string())?;
        let (copying, leash) = started.map_err(|error| format!("the file could not be copied: {error}"))?;
        let engine = Arc::clone(&self.engine);
        let answers = tokio::task::spawn_blocking(move || {
            let copy = copying.finish()?;
            engine.stand_in(copy, as_of).map_err(|error| format!("the copy cannot be read: {error}"))
        });
        // Given up here, the copy ends with its leash.
        let _leash: Leash = leash;
        answers.await.map_err(|error| error.to_string())??;
        self.is_copied(as_of, still);
        Ok(as_of)
    }

    /// From now on the copy answers.
    fn is_copied(&self, as_of: SystemTime, still: Still) {
        {
            let mut state = self.state.lock();
            (state.snapshot, state.attached) = (Some(as_of), None);
        }
        drop(still);
        self.kick.notify_one();
    }

    /// Enters the file as one who reads, whoever else wants it.
    async fn enter_to_copy(self: &Arc<Self>, until: Instant) -> Result<FileUse, String> {
        let (mut view, _demand) = (self.view.subscribe(), Demand::new(self, Need::Read));
        if self.attached().is_none() && !self.path.exists() {
            return Err("there is no file yet".to_owned());
        }
        let since = view.borrow_and_update().turn;
        loop {
            match self.try_enter(Need::Read) {
                Ok(Some(inside)) if inside.access == Access::ReadWrite => return Ok(inside),
                Ok(Some(_)) => return Err("another process reads the file".to_owned()),
                Ok(None) => self.kick.notify_one(),
                Err(error) => return Err(error.to_string()),
            }
            if self.holder().is_some() || tokio::time::timeout_at(until.into(), view.changed()).await.is_err() {
                return Err("another process has the file".to_owned());
            }
            let seen = view.borrow_and_update().clone();
            if let Some((turn, error)) = seen.failure
                && turn > since
            {
                return Err(error.to_string());
            }
        }
    }

    async fn until_nobody_writes(&self, core: &Core, until: Instant) -> Result<(), String> {
        let mut view = self.view.subscribe();
        loop {
            view.borrow_and_update();
            if self.state.lock().writers == 0 {
                return Ok(());
            }
            // Somebody waits now: transactions that are idle for too long are ended at the next look.
            core.look_now.notify_one();
            if tokio::time::timeout_at(until.into(), view.changed()).await.is_err() {
                return Err(whose("wrote to the file for too long", core));
            }
        }
    }
}

/// `somebody wrote for too long: <command>`
fn whose(fault: &str, core: &Core) -> String {
    let who = core.longest_in_file().map(|holder| format!(": {}", holder.command)).unwrap_or_default();
    format!("somebody {fault}{who}")
}

impl BrokerSession {
    /// Its transaction reads a copy of the file, and keeps nobody from the file itself.
    pub(crate) fn transaction_reads_copy(&self) -> bool {
        self.kept.lock().file.as_ref().is_some_and(|file| !file.keeps_file())
    }
}

