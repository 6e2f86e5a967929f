//! The same without `async`: for programs that have no runtime.
//!
//! All clients of a process share one small runtime of their own, so that these calls work on any thread, also on one
//! that belongs to another runtime.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use dbmux_proto::{HelloReply, StatsReply, StatusReply};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::{ClientError, ClientOptions, Statement};

fn runtime() -> Result<Handle, ClientError> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let make = || Builder::new_multi_thread().worker_threads(1).thread_name("dbmux-client").enable_all().build().ok();
    let runtime = RUNTIME.get_or_init(make).as_ref().map(|runtime| runtime.handle().clone());
    runtime.ok_or_else(|| ClientError::InvalidArgument("the system has no thread left for dbmux's client".to_owned()))
}

/// Waits for a future on the shared runtime, from any thread.
fn wait<T: Send + 'static>(
    future: impl Future<Output = Result<T, ClientError>> + Send + 'static,
) -> Result<T, ClientError> {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        // Whoever waited has unwound.
        let _ = sender.send(future.await);
    });
    receiver.recv().unwrap_or_else(|_| Err(ClientError::Decode("the client's own thread failed".to_owned())))
}

/// A way to one database. See [`crate::Client`].
#[derive(Clone)]
pub struct Client {
    inner: crate::Client,
}

impl Client {
    /// See [`crate::Client::open`].
    ///
    /// # Errors
    /// As there.
    pub fn open(path: impl AsRef<Path>, options: ClientOptions) -> Result<Self, ClientError> {
        Ok(Self { inner: crate::Client::open(path, options)? })
    }

    /// See [`crate::Client::session`].
    ///
    /// # Errors
    /// As there.
    pub fn session(&self) -> Result<Session, ClientError> {
        let client = self.inner.clone();
        Ok(Session { inner: Some(Arc::new(wait(async move { client.session().await })?)) })
    }

    /// See [`crate::Client::status`].
    ///
    /// # Errors
    /// As there.
    pub fn status(&self) -> Result<Option<StatusReply>, ClientError> {
        let client = self.inner.clone();
        wait(async move { client.status().await })
    }

    /// See [`crate::Client::stats`].
    ///
    /// # Errors
    /// As there.
    pub fn stats(&self) -> Result<Option<StatsReply>, ClientError> {
        let client = self.inner.clone();
        wait(async move { client.stats().await })
    }

    /// See [`crate::Client::stop`].
    ///
    /// # Errors
    /// As there.
    pub fn stop(&self, drain: Duration) -> Result<Option<u32>, ClientError> {
        let client = self.inner.clone();
        wait(async move { client.stop(drain).await })
    }
}

/// One conversation with the broker. See [`crate::Session`].
pub struct Session {
    /// Taken when it is dropped, for a session is closed on its runtime.
    inner: Option<Arc<crate::Session>>,
}

impl Session {
    fn inner(&self) -> Result<Arc<crate::Session>, ClientError> {
        self.inner.clone().ok_or_else(|| ClientError::InvalidArgument("the session is closed".to_owned()))
    }

    /// See [`crate::Session::hello`].
    ///
    /// # Errors
    /// None while the session is open.
    pub fn hello(&self) -> Result<Arc<HelloReply>, ClientError> {
        Ok(self.inner()?.hello())
    }

    /// See [`crate::Session::run`].
    ///
    /// # Errors
    /// As there.
    pub fn run(&self, statement: impl Into<Statement>) -> Result<Answer, ClientError> {
        let (session, statement) = (self.inner()?, statement.into());
        Ok(Answer { inner: Some(wait(async move { session.run(statement).await })?) })
    }

    /// See [`crate::Session::execute`].
    ///
    /// # Errors
    /// As there.
    pub fn execute(&self, statement: impl Into<Statement>) -> Result<u64, ClientError> {
        let (session, statement) = (self.inner()?, statement.into());
        wait(async move { session.execute(statement).await })
    }

    /// Runs several statements as one transaction: commits when `work` succeeds, rolls back when it fails.
    ///
    /// # Errors
    /// Whatever `work` ends with; a conflict at the commit: redo it all.
    pub fn transaction<T>(&self, work: impl FnOnce(&Self) -> Result<T, ClientError>) -> Result<T, ClientError> {
        self.execute("BEGIN TRANSACTION")?;
        match work(self) {
            Ok(done) => {
                self.execute("COMMIT")?;
                Ok(done)
            }
            Err(error) => {
                // The first error is the one to tell; an unreachable broker rolls back by itself.
                let _ = self.execute("ROLLBACK");
                Err(error)
            }
        }
    }

    /// See [`crate::Session::cancel`].
    ///
    /// # Errors
    /// As there.
    pub fn cancel(&self, statement: u64) -> Result<bool, ClientError> {
        let session = self.inner()?;
        wait(async move { session.cancel(statement).await })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let inner = self.inner.take();
        if let Ok(runtime) = runtime() {
            runtime.spawn(async move { drop(inner) });
        }
    }
}

/// A statement's answer. See [`crate::Answer`].
pub struct Answer {
    inner: Option<crate::Answer>,
}

impl Answer {
    /// The columns.
    ///
    /// # Errors
    /// When the answer is over.
    pub fn schema(&self) -> Result<SchemaRef, ClientError> {
        self.inner.as_ref().map(crate::Answer::schema).ok_or_else(over)
    }

    /// See [`crate::Answer::next`].
    ///
    /// # Errors
    /// As there.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, ClientError> {
        let mut answer = self.inner.take().ok_or_else(over)?;
        let (answer, batch) = wait(async move {
            let batch = answer.next().await?;
            Ok((answer, batch))
        })?;
        self.inner = Some(answer);
        Ok(batch)
    }

    /// See [`crate::Answer::collect`].
    ///
    /// # Errors
    /// As there.
    pub fn collect(mut self) -> Result<Vec<RecordBatch>, ClientError> {
        let answer = self.inner.take().ok_or_else(over)?;
        wait(answer.collect())
    }
}

fn over() -> ClientError {
    ClientError::InvalidArgument("the answer is over".to_owned())
}
