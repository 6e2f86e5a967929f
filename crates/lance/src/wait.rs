//! Waiting for LanceDB's futures on the broker's threads, until somebody interrupts.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use dbmux_engine::{EngineError, Interrupter, Progress};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{commit::Committer, errors};

/// A statement that runs now.
#[derive(Debug, Default)]
pub(crate) struct Running {
    interrupted: AtomicBool,
    wake: Notify,
}

impl Running {
    pub(crate) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    /// Returns when it is interrupted.
    pub(crate) async fn interrupted(&self) {
        while !self.interrupted.load(Ordering::SeqCst) {
            self.wake.notified().await;
        }
    }

    /// Does work that may be given up at any time: it is dropped then.
    pub(crate) async fn lightly<T>(
        &self,
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        tokio::select! {
            biased;
            outcome = work => outcome,
            () = self.interrupted() => Err(EngineError::Interrupted),
        }
    }

    /// Does work that commits by this committer: it is given up only before that, or between its steps.
    pub(crate) async fn committing<T>(
        &self,
        committer: &Committer,
        work_is: Work,
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        committer.begin(work_is == Work::InSteps);
        tokio::pin!(work);
        let outcome = tokio::select! {
            biased;
            outcome = &mut work => Some(outcome),
            () = self.interrupted() => None,
        };
        let outcome = match outcome {
            Some(outcome) => outcome,
            None if work_is == Work::Detached => {
                committer.give_up();
                work.await
            }
            None if committer.give_up() => return Err(EngineError::Interrupted),
            None => tokio::select! {
                biased;
                outcome = &mut work => outcome,
                () = committer.given_up() => return Err(EngineError::Interrupted),
            },
        };
        let unsynced = committer.unsynced();
        match (outcome, unsynced) {
            (Err(_), _) if committer.was_given_up() => Err(EngineError::Interrupted),
            (Ok(_), Some(error)) => Err(errors::unsynced(&error)),
            (outcome, _) => outcome,
        }
    }
}

/// How work behaves that is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// It ends.
    Ends,
    /// It ends, and each of its commits stays for itself.
    InSteps,
    /// It goes on by itself, and so it is waited for.
    Detached,
}

/// Interrupts whatever a session runs.
#[derive(Debug, Default)]
pub(crate) struct Stop(Mutex<Option<Arc<Running>>>);

impl Stop {
    /// A statement begins, in the place of the last one.
    pub(crate) fn begin(&self) -> Arc<Running> {
        let running = Arc::new(Running::default());
        *self.0.lock() = Some(Arc::clone(&running));
        running
    }
}

impl Interrupter for Stop {
    fn interrupt(&self) {
        if let Some(running) = self.0.lock().as_ref() {
            running.interrupt();
        }
    }

    fn progress(&self) -> Progress {
        Progress { percent: -1.0, ..Progress::default() }
    }
}
