//! The file, kept still for somebody who copies it: nobody here writes, and all that is committed is in it, where the
//! engine does not see to that by itself.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use dbmux_engine::{Access, EngineError, ErrorCode, ServiceError};
use tokio::sync::OwnedMutexGuard;

use super::{Demand, FIRST_TRY, File, FileUse, Need};
use crate::{core::Core, errors};

/// The shortest and the longest pause between two attempts to bring what is committed into the file.
const SETTLING: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Nobody writes to the file, and all that is committed is in it; until this is dropped.
#[expect(dead_code, reason = "held, not read")]
pub(crate) struct Still {
    held: Held,
    inside: FileUse,
    one_at_a_time: OwnedMutexGuard<()>,
}

/// Nobody begins to write, until this is dropped.
struct Held(Arc<File>);

impl Held {
    fn new(file: &Arc<File>) -> Self {
        file.state.lock().held = true;
        Self(Arc::clone(file))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.state.lock().held = false;
        self.0.kick.notify_one();
        self.0.tell(|_| {});
    }
}

/// Those are waited for who keep the file from being copied, until this is dropped.
struct Settling<'a>(&'a File);

impl<'a> Settling<'a> {
    fn new(file: &'a File) -> Self {
        file.state.lock().settling = Some(Instant::now());
        Self(file)
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        self.0.state.lock().settling = None;
    }
}

/// What becomes of one who wants to copy a file that another process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// He is told so at once: there is something else that he can do.
    GivesUp,
    /// He waits, unless he runs inside of what he waits for.
    Waits {
        /// His process; 0: not known.
        asker: u32,
    },
}

impl File {
    /// Keeps everybody from writing, and brings all that is committed into the file, for somebody who copies it.
    ///
    /// # Errors
    /// `DATABASE_LOCKED` with whoever is in the way at the deadline; why the file cannot be attached.
    pub(crate) async fn hold_still(
        core: &Arc<Core>,
        patience: Duration,
        asker: u32,
    ) -> Result<(SystemTime, Still), ServiceError> {
        let until = Instant::now() + patience;
        let file = &core.file;
        let waits = tokio::time::timeout_at(until.into(), Arc::clone(&file.making).lock_owned()).await;
        let one_at_a_time = waits.map_err(|_| in_the_way("another copy of the file is being made", core))?;
        file.still(core, one_at_a_time, until, Patience::Waits { asker }).await
    }

    pub(super) async fn still(
        self: &Arc<Self>,
        core: &Arc<Core>,
        one_at_a_time: OwnedMutexGuard<()>,
        until: Instant,
        patience: Patience,
    ) -> Result<(SystemTime, Still), ServiceError> {
        // To attach is no wait for others.
        let inside = self.enter_to_copy(core, until.max(Instant::now() + FIRST_TRY), patience).await?;
        let held = Held::new(self);
        let settling = Settling::new(self);
        self.until_nobody_writes(core, until).await?;
        let as_of =
            if self.engine.copies_by_itself() { SystemTime::now() } else { self.until_settled(core, until).await? };
        drop(settling);
        Ok((as_of, Still { held, inside, one_at_a_time }))
    }

    /// Enters the file itself as one who reads, whoever else wants it.
    async fn enter_to_copy(
        self: &Arc<Self>,
        core: &Arc<Core>,
        until: Instant,
        patience: Patience,
    ) -> Result<FileUse, ServiceError> {
        // One who waits wants it to be attached for writing, as it is when nobody else has it.
        let need = if patience == Patience::GivesUp { Need::Read } else { Need::Write };
        let (mut view, _demand) = (self.view.subscribe(), Demand::new(self, need));
        core.must_exist()?;
        let since = view.borrow_and_update().turn;
        let locked = || in_the_way("another process has the file", core);
        loop {
            match self.try_enter(Need::ReadNow)? {
                Some(inside) if inside.access == Access::ReadWrite => return Ok(inside),
                Some(_) if patience == Patience::GivesUp => {
                    return Err(in_the_way("another process reads the file", core));
                }
                Some(_) | None => self.kick.notify_one(),
            }
            if tokio::time::timeout_at(until.into(), view.changed()).await.is_err() {
                return Err(locked());
            }
            let seen = view.borrow_and_update().clone();
            let busy = seen.holder_now().is_some();
            match (seen.failure, patience) {
                (Some((turn, error)), _) if turn > since => return Err(error),
                (_, Patience::GivesUp) if busy => return Err(locked()),
                (_, Patience::GivesUp) => {}
                (_, Patience::Waits { asker }) => self.refuse_inside_lease(asker)?,
            }
        }
    }

    async fn until_nobody_writes(&self, core: &Core, until: Instant) -> Result<(), ServiceError> {
        let mut view = self.view.subscribe();
        loop {
            view.borrow_and_update();
            if self.state.lock().writers == 0 {
                return Ok(());
            }
            // Somebody waits now: transactions that are idle for too long are ended at the next look.
            core.look_now.notify_one();
            if tokio::time::timeout_at(until.into(), view.changed()).await.is_err() {
                return Err(in_the_way("somebody wrote to the file for too long", core));
            }
        }
    }

    /// Brings what is committed into the file. Transactions that began before the last change, and read, keep it out.
    async fn until_settled(&self, core: &Core, until: Instant) -> Result<SystemTime, ServiceError> {
        let mut pause = SETTLING.0;
        loop {
            let engine = Arc::clone(&self.engine);
            let settled = tokio::task::spawn_blocking(move || engine.settle().map(|()| SystemTime::now()));
            match settled.await.map_err(|error| errors::internal(error.to_string()))? {
                Ok(as_of) => return Ok(as_of),
                Err(EngineError::Conflict { .. }) if Instant::now() + pause < until => {}
                Err(EngineError::Conflict { .. }) => {
                    return Err(in_the_way("somebody read what was before for too long", core));
                }
                Err(error) => {
                    let text = format!("what is committed could not be brought into the file: {error}");
                    return Err(errors::internal(text));
                }
            }
            core.look_now.notify_one();
            // The engine does not tell when the last of them ends.
            tokio::time::sleep(pause).await;
            pause = SETTLING.1.min(pause * 2);
        }
    }
}

/// Why the file is not kept still, with whoever is in the way.
fn in_the_way(why: &str, core: &Core) -> ServiceError {
    let holder = core.file.holder().or_else(|| core.longest_in_file());
    let who = holder.as_ref().map(|holder| format!(": {}", holder.command)).unwrap_or_default();
    let mut error = ServiceError::new(ErrorCode::DatabaseLocked, format!("{why}{who}")).held_by(holder);
    error.0.db_path = core.options.database.display().to_string();
    error.suggest("wait longer, or end the process that has the file")
}
