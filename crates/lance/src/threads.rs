//! The threads that LanceDB's futures run on.

use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    thread::available_parallelism,
    time::Duration,
};

use dbmux_engine::EngineError;
use tokio::{
    runtime::{Builder, Runtime},
    sync::Semaphore,
};

use crate::{errors, wait::Running};

/// The longest wait of a reading for a core.
const PATIENCE: Duration = Duration::from_millis(100);

/// A runtime that can be dropped anywhere, within another one too: its threads end by themselves then.
pub(crate) struct Threads {
    runtime: Option<Runtime>,
    /// For those who read beside a writer: a search computes for most of its time, and takes what it can get.
    cores: Semaphore,
    writing: AtomicUsize,
}

impl Threads {
    pub(crate) fn start() -> Result<Self, EngineError> {
        let runtime = Builder::new_multi_thread().enable_all().thread_name("lance").build();
        let runtime = runtime.map_err(|error| errors::internal(&error))?;
        let cores = Semaphore::new(available_parallelism().map_or(1, usize::from));
        Ok(Self { runtime: Some(runtime), cores, writing: AtomicUsize::new(0) })
    }

    /// Waits for work on the caller's thread, which must be one that may block.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = Result<T, EngineError>>) -> Result<T, EngineError> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => Err(EngineError::Internal { message: "the engine has ended".to_owned() }),
        }
    }

    /// The same for writing.
    pub(crate) fn write<T>(&self, work: impl Future<Output = Result<T, EngineError>>) -> Result<T, EngineError> {
        let _writing = Writing::begin(&self.writing);
        self.wait(work)
    }

    /// The same for a part of a reading. While somebody writes, as many begin as there are cores: more would not be done
    /// sooner, and the writer would have less of a core than each of them. Nobody waits long behind those who take long.
    pub(crate) fn read<T>(
        &self,
        running: &Running,
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        self.wait(running.lightly(async {
            let _core = match self.writing.load(Ordering::Relaxed) {
                0 => None,
                _ => tokio::time::timeout(PATIENCE, self.cores.acquire()).await.ok(),
            };
            work.await
        }))
    }
}

/// Counted until it is dropped.
struct Writing<'a>(&'a AtomicUsize);

impl<'a> Writing<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
