//! What the sessions of one engine share.

use std::{path::PathBuf, sync::Arc};

use dbmux_engine::EngineError;
use parking_lot::Mutex;

use crate::{
    opened::{Opened, Source},
    threads::Threads,
    wait::Running,
};

/// One directory, whether open or not.
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) threads: Arc<Threads>,
    /// What statements read now; `None`: released.
    pub(crate) source: Mutex<Option<Source>>,
    /// Work that is done because nobody waits.
    pub(crate) idle: Mutex<Option<Arc<Running>>>,
}

impl Shared {
    /// What a statement that begins now reads.
    pub(crate) fn source(&self) -> Result<Source, EngineError> {
        let released =
            || EngineError::Internal { message: "the database is released, and a statement came".to_owned() };
        self.source.lock().clone().ok_or_else(released)
    }

    /// Ends what is done because nobody waits, behind the commit that it may be in the midst of.
    pub(crate) fn end_idle_work(&self) {
        if let Some(running) = self.idle.lock().take() {
            running.interrupt();
        }
    }

    /// The open directory, if it is open and nothing stands in for it.
    pub(crate) fn opened(&self) -> Option<Arc<Opened>> {
        match self.source.lock().as_ref() {
            Some(Source::File(opened)) => Some(Arc::clone(opened)),
            _ => None,
        }
    }
}
