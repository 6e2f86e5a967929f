//! The threads that LanceDB's futures run on.

use std::future::Future;

use dbmux_engine::EngineError;
use tokio::runtime::{Builder, Runtime};

use crate::errors;

/// A runtime that can be dropped anywhere, within another one too: its threads end by themselves then.
pub(crate) struct Threads(Option<Runtime>);

impl Threads {
    pub(crate) fn start() -> Result<Self, EngineError> {
        let runtime = Builder::new_multi_thread().enable_all().thread_name("lance").build();
        runtime.map(|runtime| Self(Some(runtime))).map_err(|error| errors::internal(&error))
    }

    /// Waits for work on the caller's thread, which must be one that may block.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = Result<T, EngineError>>) -> Result<T, EngineError> {
        match &self.0 {
            Some(runtime) => runtime.block_on(work),
            None => Err(EngineError::Internal { message: "the engine has ended".to_owned() }),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
