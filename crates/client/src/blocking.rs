//! The same without `async`: for programs that have no runtime.
//!
//! Everything here has the name, the meaning and the errors of its namesake without `async`'s. All clients of a process
//! share one small runtime for their connections; what a caller waits for runs on the caller's own thread, also on one
//! that belongs to another runtime. After a `fork`, the child must not use the parent's clients.
//!
//! ```no_run
//! # fn example() -> Result<(), dbmux_client::ClientError> {
//! use dbmux_client::{ClientOptions, blocking::Client};
//!
//! let session = Client::open("sales.duckdb", ClientOptions::default())?.session()?;
//! session.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER, item VARCHAR)")?;
//! session.transaction(|transaction| {
//!     transaction.execute("INSERT INTO orders VALUES (1, 'tea')")?;
//!     transaction.execute("INSERT INTO orders VALUES (2, 'cake')")
//! })?;
//! for batch in session.query("SELECT * FROM orders")? {
//!     println!("{} rows", batch?.num_rows());
//! }
//! # Ok(())
//! # }
//! ```

use std::{
    path::Path,
    pin::pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use dbmux_proto::{HelloReply, StatementEvent, StatementKind, StatsReply, StatusReply};
use futures::{StreamExt, stream::BoxStream};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::{ClientError, ClientOptions, Statement};

pub(crate) fn runtime() -> Result<&'static Handle, ClientError> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let make = || Builder::new_multi_thread().worker_threads(1).thread_name("dbmux-client").enable_all().build().ok();
    let runtime = RUNTIME.get_or_init(make).as_ref().map(Runtime::handle);
    runtime.ok_or_else(|| ClientError::InvalidArgument("the system has no thread left for dbmux's client".to_owned()))
}

/// Waits for a future on this thread; connections and clocks are the shared runtime's.
///
/// A runtime's own `block_on` refuses to do so on a thread of another runtime.
pub(crate) fn wait<T>(future: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let _entered = runtime()?.enter();
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => thread::park(),
        }
    }
}

/// See [`crate::brokers`].
///
/// # Errors
/// As there.
pub fn brokers() -> Result<Vec<StatusReply>, ClientError> {
    wait(crate::brokers())
}

/// A way to one database. See [`crate::Client`].
#[derive(Debug, Clone)]
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

    /// See [`crate::Client::database`].
    pub fn database(&self) -> &Path {
        self.inner.database()
    }

    /// See [`crate::Client::socket`].
    pub fn socket(&self) -> &Path {
        self.inner.socket()
    }

    pub(crate) fn target(&self) -> &crate::connect::Target {
        self.inner.target()
    }

    /// See [`crate::Client::log`].
    pub fn log(&self) -> std::path::PathBuf {
        self.inner.log()
    }

    /// See [`crate::Client::session`].
    ///
    /// # Errors
    /// As there.
    pub fn session(&self) -> Result<Session, ClientError> {
        Ok(Session { inner: wait(self.inner.session())? })
    }

    /// See [`crate::Client::status`].
    ///
    /// # Errors
    /// As there.
    pub fn status(&self) -> Result<Option<StatusReply>, ClientError> {
        wait(self.inner.status())
    }

    /// See [`crate::Client::stats`].
    ///
    /// # Errors
    /// As there.
    pub fn stats(&self) -> Result<Option<StatsReply>, ClientError> {
        wait(self.inner.stats())
    }

    /// See [`crate::Client::stop`].
    ///
    /// # Errors
    /// As there.
    pub fn stop(&self, drain: Duration) -> Result<Option<u32>, ClientError> {
        wait(self.inner.stop(drain))
    }
}

/// One conversation with the broker. See [`crate::Session`].
#[derive(Debug)]
pub struct Session {
    inner: crate::Session,
}

impl Session {
    /// See [`crate::Session::hello`].
    pub fn hello(&self) -> Arc<HelloReply> {
        self.inner.hello()
    }

    /// See [`crate::Session::run`].
    ///
    /// # Errors
    /// As there.
    pub fn run(&self, statement: impl Into<Statement>) -> Result<Answer, ClientError> {
        Ok(Answer { inner: wait(self.inner.run(statement))? })
    }

    /// See [`crate::Session::query`].
    ///
    /// # Errors
    /// As there.
    pub fn query(&self, statement: impl Into<Statement>) -> Result<Answer, ClientError> {
        Ok(Answer { inner: wait(self.inner.query(statement))? })
    }

    /// See [`crate::Session::execute`].
    ///
    /// # Errors
    /// As there.
    pub fn execute(&self, statement: impl Into<Statement>) -> Result<u64, ClientError> {
        wait(self.inner.execute(statement))
    }

    /// See [`crate::Session::may_be_in_transaction`].
    pub fn may_be_in_transaction(&self) -> bool {
        self.inner.may_be_in_transaction()
    }

    /// See [`crate::Session::begin`].
    ///
    /// # Errors
    /// As there.
    pub fn begin(&self) -> Result<Transaction<'_>, ClientError> {
        Ok(Transaction { inner: wait(self.inner.begin())? })
    }

    /// See [`crate::Session::transaction`].
    ///
    /// # Errors
    /// As there.
    pub fn transaction<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let transaction = self.begin()?;
        match work(&transaction) {
            Ok(done) => transaction.commit().map(|()| done),
            Err(error) => {
                // The first error is the one to tell; an unreachable broker rolls back by itself.
                let _ = transaction.rollback();
                Err(error)
            }
        }
    }

    /// See [`crate::Session::cancel`].
    ///
    /// # Errors
    /// As there.
    pub fn cancel(&self, statement: u64) -> Result<bool, ClientError> {
        wait(self.inner.cancel(statement))
    }

    /// See [`crate::Session::watch`].
    ///
    /// # Errors
    /// As there.
    pub fn watch(&self, statement: u64) -> Result<impl Iterator<Item = StatementEvent> + Send + use<>, ClientError> {
        Ok(Events { inner: wait(self.inner.events(statement))? })
    }
}

/// An open transaction of a session. See [`crate::Transaction`].
#[derive(Debug)]
pub struct Transaction<'a> {
    inner: crate::Transaction<'a>,
}

impl Transaction<'_> {
    /// See [`crate::Transaction::run`].
    ///
    /// # Errors
    /// As there.
    pub fn run(&self, statement: impl Into<Statement>) -> Result<Answer, ClientError> {
        Ok(Answer { inner: wait(self.inner.run(statement))? })
    }

    /// See [`crate::Transaction::query`].
    ///
    /// # Errors
    /// As there.
    pub fn query(&self, statement: impl Into<Statement>) -> Result<Answer, ClientError> {
        Ok(Answer { inner: wait(self.inner.query(statement))? })
    }

    /// See [`crate::Transaction::execute`].
    ///
    /// # Errors
    /// As there.
    pub fn execute(&self, statement: impl Into<Statement>) -> Result<u64, ClientError> {
        wait(self.inner.execute(statement))
    }

    /// See [`crate::Transaction::commit`].
    ///
    /// # Errors
    /// As there.
    pub fn commit(self) -> Result<(), ClientError> {
        wait(self.inner.commit())
    }

    /// See [`crate::Transaction::rollback`].
    ///
    /// # Errors
    /// As there.
    pub fn rollback(self) -> Result<(), ClientError> {
        wait(self.inner.rollback())
    }
}

/// A statement's answer, batch by batch. See [`crate::Answer`].
#[derive(Debug)]
pub struct Answer {
    inner: crate::Answer,
}

impl Answer {
    /// See [`crate::Answer::schema`].
    pub fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    /// See [`crate::Answer::kind`].
    pub fn kind(&self) -> StatementKind {
        self.inner.kind()
    }

    /// See [`crate::Answer::rows_changed`].
    pub fn rows_changed(&self) -> bool {
        self.inner.rows_changed()
    }

    /// See [`crate::Answer::as_of`].
    pub fn as_of(&self) -> Option<&str> {
        self.inner.as_of()
    }

    /// See [`crate::Answer::notices`].
    pub fn notices(&self) -> &[String] {
        self.inner.notices()
    }

    /// See [`crate::Answer::next`].
    ///
    /// # Errors
    /// As there.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, ClientError> {
        wait(self.inner.next())
    }

    /// See [`crate::Answer::collect`].
    ///
    /// # Errors
    /// As there.
    pub fn collect(self) -> Result<Vec<RecordBatch>, ClientError> {
        wait(self.inner.collect())
    }
}

/// [`Answer::next_batch`], again and again.
impl Iterator for Answer {
    type Item = Result<RecordBatch, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

/// What becomes of a statement.
struct Events {
    inner: BoxStream<'static, StatementEvent>,
}

impl Iterator for Events {
    type Item = StatementEvent;

    fn next(&mut self) -> Option<Self::Item> {
        wait(async { Ok(self.inner.next().await) }).ok().flatten()
    }
}
