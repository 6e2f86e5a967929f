//! The copy that answers those who read while a lease is out.
//!
//! It is made while the file is still ours. Nobody begins to write from then on; those who write come to their end; what is
//! committed is brought into the file, a child process copies that, and the copy takes the file's place in the engine.
//! Whoever reads the file then goes on with it, until the last of them is out: only then is the file let go. Whoever comes
//! reads the copy. So nobody who reads waits, and nothing that was acknowledged is missing in the copy.
//!
//! Where there can be none, it is said why, to the asker and to those who read, and reads wait.
//!
//! What always holds: from the moment at which the copy takes the file's place until that is known here, nothing can be
//! given up: a task of its own does both.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use dbmux_engine::Access;
use tokio_util::sync::CancellationToken;

use super::{
    File,
    copier::Copier,
    still::{Patience, Still},
};
use crate::{core::Core, errors, session::BrokerSession};

/// The pause between two looks at whether the engine has closed the file.
pub(super) const CLOSING: Duration = Duration::from_millis(1);

/// How copies are made.
#[derive(Debug, Clone)]
pub struct SnapshotOptions {
    /// The program that copies, with its first arguments; empty: there are no snapshots.
    pub program: Vec<PathBuf>,
    /// Bytes of a file that is copied, where it cannot be shared.
    pub limit: u64,
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
        could && state.is_stand_in_wanted() && state.snapshot.is_none() && !state.held
    }

    /// Makes a copy answer in the file's stead, unless one does.
    ///
    /// # Errors
    /// Why there can be none, in words for a person.
    pub(crate) async fn make_snapshot(core: &Arc<Core>, patience: Duration) -> Result<SystemTime, String> {
        let given_up = CancellationToken::new();
        let _gone = given_up.clone().drop_guard();
        let core = Arc::clone(core);
        let making = tokio::spawn(async move { core.file.make_unless(&core, patience, &given_up).await });
        making.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    async fn make_unless(
        self: &Arc<Self>,
        core: &Arc<Core>,
        patience: Duration,
        given_up: &CancellationToken,
    ) -> Result<SystemTime, String> {
        let (began, until) = (Instant::now(), Instant::now() + patience);
        let made = self.make(core, until, given_up).await;
        if let Err(NotMade::AnswersAlready(as_of)) = made {
            return Ok(as_of);
        }
        let made = made.map_err(NotMade::why);
        match &made {
            Ok(as_of) => tracing::info!(as_of = errors::rfc3339(*as_of), took = ?began.elapsed(), "a snapshot answers"),
            Err(why) => {
                tracing::info!(why, "no snapshot: reads wait");
                let mut state = self.state.lock();
                state.refused = state.attached.map(|_| why.clone()).filter(|_| !given_up.is_cancelled());
            }
        }
        let why = made.as_ref().err().cloned();
        self.tell(|view| view.no_snapshot = why);
        made
    }

    async fn make(
        self: &Arc<Self>,
        core: &Arc<Core>,
        until: Instant,
        given_up: &CancellationToken,
    ) -> Result<SystemTime, NotMade> {
        if core.options.snapshots.program.is_empty() {
            return Err(NotMade::Refused("this broker makes no snapshots".to_owned()));
        }
        let (as_of, still) = tokio::select! {
            biased;
            () = given_up.cancelled() => return Err(NotMade::GivenUp),
            still = self.keep_still(core, until) => still?,
        };
        let as_of = if self.engine.copies_by_itself() {
            self.by_the_engine().await?
        } else {
            self.by_a_child(core, as_of, given_up).await?
        };
        self.is_copied(as_of, still);
        Ok(as_of)
    }

    async fn keep_still(self: &Arc<Self>, core: &Arc<Core>, until: Instant) -> Result<(SystemTime, Still), NotMade> {
        let one_at_a_time = Arc::clone(&self.making).lock_owned().await;
        if let Some(as_of) = self.snapshot() {
            return Err(NotMade::AnswersAlready(as_of));
        }
        let still = self.still(core, one_at_a_time, until, Patience::GivesUp).await;
        still.map_err(|error| NotMade::Refused(error.0.message.clone()))
    }

    async fn by_the_engine(&self) -> Result<SystemTime, NotMade> {
        let engine = Arc::clone(&self.engine);
        let made = blocking(move || engine.stand_in_by_itself()).await?;
        made.map_err(|error| NotMade::Refused(format!("the file could not be copied: {error}")))
    }

    async fn by_a_child(
        &self,
        core: &Core,
        as_of: SystemTime,
        given_up: &CancellationToken,
    ) -> Result<SystemTime, NotMade> {
        let SnapshotOptions { program, limit } = core.options.snapshots.clone();
        let path = self.path.clone();
        let started = blocking(move || Copier { program, limit }.start(&path)).await?;
        let not_copied = |error: std::io::Error| NotMade::Refused(format!("the file could not be copied: {error}"));
        let (copying, leash) = started.map_err(not_copied)?;
        let copied = blocking(move || copying.finish());
        let copy = tokio::select! {
            biased;
            // The child ends with its leash.
            () = given_up.cancelled() => return Err(NotMade::GivenUp),
            copied = copied => copied?.map_err(NotMade::Refused)?,
        };
        drop(leash);
        let engine = Arc::clone(&self.engine);
        let stands = blocking(move || engine.stand_in(copy, as_of)).await?;
        stands.map_err(|error| NotMade::Refused(format!("the copy cannot be read: {error}")))?;
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
}

/// Why no copy was made.
enum NotMade {
    AnswersAlready(SystemTime),
    GivenUp,
    Refused(String),
}

impl NotMade {
    fn why(self) -> String {
        match self {
            Self::AnswersAlready(_) => "one answers already".to_owned(),
            Self::GivenUp => "nobody wants the copy any more".to_owned(),
            Self::Refused(why) => why,
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, NotMade> {
    tokio::task::spawn_blocking(work).await.map_err(|error| NotMade::Refused(error.to_string()))
}

impl BrokerSession {
    /// Its transaction reads a copy of the file.
    pub(crate) fn transaction_reads_copy(&self) -> bool {
        self.kept.lock().file.as_ref().is_some_and(|file| !file.keeps_file())
    }

    /// The same, and keeps nobody from the file itself. When that answers again, a transaction that began on the copy may
    /// look at either.
    pub(crate) fn transaction_is_beside_file(&self, core: &Core) -> bool {
        core.file.snapshot().is_some() && self.transaction_reads_copy()
    }
}
