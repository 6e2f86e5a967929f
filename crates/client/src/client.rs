//! The way to a database: lazy, shared, and without a connection of its own until the first statement.

use std::{path::Path, sync::Arc, time::Duration};

use dbmux_proto::{StatsReply, StatusReply, StopRequest};
use parking_lot::Mutex;

use crate::{
    ClientError, ClientOptions, Session,
    connect::{Deadline, Link, Target, Trouble},
    session::Open,
};

/// Idle sessions that are kept for the next caller.
const KEPT: usize = 32;

/// A way to one database. Cheap to clone; all clones share one connection and the idle sessions.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// What all sessions of a client share.
pub(crate) struct Shared {
    pub(crate) target: Target,
    /// The present connection; one caller at a time makes a new one.
    link: tokio::sync::Mutex<Option<Link>>,
    idle: Mutex<Vec<Open>>,
}

impl Client {
    /// Opens a way to a database. Starts nothing, makes nothing and opens nothing before the first statement.
    ///
    /// # Errors
    /// When the path cannot be that of a database: its directory does not exist, for example.
    pub fn open(path: impl AsRef<Path>, options: ClientOptions) -> Result<Self, ClientError> {
        let target = Target::new(path.as_ref(), options)?;
        let shared = Shared { target, link: tokio::sync::Mutex::default(), idle: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The database file, canonical.
    pub fn database(&self) -> &Path {
        &self.shared.target.database
    }

    /// The socket on which the database's broker listens, when there is one.
    pub fn socket(&self) -> &Path {
        &self.shared.target.socket
    }

    /// Where the broker writes its log.
    pub fn log(&self) -> std::path::PathBuf {
        self.shared.target.log()
    }

    /// Opens a session: an idle one, or a new one, on a broker that is started where there is none.
    ///
    /// # Errors
    /// When no broker can be reached or started in time.
    pub async fn session(&self) -> Result<Session, ClientError> {
        let kept = self.shared.idle.lock().pop();
        let open = match kept {
            Some(open) => open,
            None => self.shared.open(Deadline::after(self.shared.target.options.wait)).await?,
        };
        Ok(Session::new(Arc::clone(&self.shared), open))
    }

    /// What the broker is doing; `None`: there is none. Starts nothing.
    ///
    /// # Errors
    /// When the broker does not answer as it should.
    pub async fn status(&self) -> Result<Option<StatusReply>, ClientError> {
        let Some(mut link) = self.shared.target.connect().await else { return Ok(None) };
        present(link.status().await)
    }

    /// What the broker has done since its start; `None`: there is none. Starts nothing.
    ///
    /// # Errors
    /// When the broker does not answer as it should.
    pub async fn stats(&self) -> Result<Option<StatsReply>, ClientError> {
        let Some(mut link) = self.shared.target.connect().await else { return Ok(None) };
        present(link.stats().await)
    }

    /// Asks the broker to end, and lets running statements take this long. Answers with its process id when it has begun
    /// to; `None`: there is none.
    ///
    /// # Errors
    /// When the broker does not answer as it should.
    pub async fn stop(&self, drain: Duration) -> Result<Option<u32>, ClientError> {
        let Some(mut link) = self.shared.target.connect().await else { return Ok(None) };
        let drain_ms = u64::try_from(drain.as_millis()).unwrap_or(u64::MAX);
        Ok(present(link.stop(StopRequest { drain_ms }).await)?.map(|reply| reply.pid))
    }
}

/// A broker that goes away while it is asked is none.
fn present<T>(answer: Result<T, Trouble>) -> Result<Option<T>, ClientError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Trouble::NotSent | Trouble::Lost) => Ok(None),
        Err(Trouble::Broker(detail)) => Err(ClientError::Broker(detail)),
        Err(Trouble::Undecodable(text)) => Err(ClientError::Decode(text)),
    }
}

impl Shared {
    /// Opens a session on the present connection, or on a new one when that is over.
    async fn open(&self, deadline: Deadline) -> Result<Open, ClientError> {
        let mut present = self.link.lock().await;
        if let Some(link) = present.as_mut() {
            match link.hello(self.target.hello()).await {
                Ok(hello) => return Ok(Open { link: link.clone(), hello: Arc::new(hello) }),
                Err(_) => *present = None,
            }
        }
        let (link, hello) = self.target.open(deadline).await?;
        *present = Some(link.clone());
        Ok(Open { link, hello: Arc::new(hello) })
    }

    /// Opens a session in the place of one that is gone; the idle ones of its broker are gone too.
    pub(crate) async fn reopen(&self, gone: &Open, deadline: Deadline) -> Result<Open, ClientError> {
        self.idle.lock().retain(|open| open.hello.broker_pid != gone.hello.broker_pid);
        self.open(deadline).await
    }

    /// Keeps an idle session for the next caller.
    pub(crate) fn keep(&self, open: Open) {
        let mut idle = self.idle.lock();
        if idle.len() < KEPT {
            idle.push(open);
        }
    }
}
