//! What the sessions of one engine share.

use std::{path::PathBuf, sync::Arc};

use dbmux_engine::EngineError;
use parking_lot::Mutex;

use crate::{
    opened::{Opened, Source},
    threads::Threads,
};

/// One directory, whether open or not.
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) threads: Arc<Threads>,
    /// What statements read now; `None`: released.
    pub(crate) source: Mutex<Option<Source>>,
}

impl Shared {
    /// What a statement that begins now reads.
    pub(crate) fn source(&self) -> Result<Source, EngineError> {
        let released =
            || EngineError::Internal { message: "the database is released, and a statement came".to_owned() };
        self.source.lock().clone().ok_or_else(released)
    }

    /// The open directory, if it is open and nothing stands in for it.
    pub(crate) fn opened(&self) -> Option<Arc<Opened>> {
        match self.source.lock().as_ref() {
            Some(Source::File(opened)) => Some(Arc::clone(opened)),
            _ => None,
        }
    }
}
