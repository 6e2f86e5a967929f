//! The way to a database: lazy, shared, and without a connection of its own until the first statement.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use dbmux_proto::{StatsReply, StatusReply, StopRequest};

use crate::{
    ClientError, ClientOptions, Session,
    connect::{Deadline, Target, Trouble, millis},
    session::Slot,
    shared::Shared,
};

/// The longest that is waited for a broker's word on itself, which takes it no work.
const WORD: Duration = Duration::from_secs(2);

/// A way to one database. Cheap to clone; all clones share one connection and the idle sessions.
///
/// A connection lives on the runtime that it was made on. Where that has ended, the next statement makes a new one.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("database", &self.database()).finish_non_exhaustive()
    }
}

impl Client {
    /// Opens a way to a database. Starts nothing, makes nothing and opens nothing before the first statement.
    ///
    /// # Errors
    /// When the path cannot be that of a database: its directory does not exist, for example.
    pub fn open(path: impl AsRef<Path>, options: ClientOptions) -> Result<Self, ClientError> {
        let target = Target::new(path.as_ref(), options)?;
        Ok(Self { shared: Arc::new(Shared::new(target)) })
    }

    /// The database file, canonical.
    pub fn database(&self) -> &Path {
        &self.shared.target.database
    }

    /// The socket on which the database's broker listens, when there is one.
    pub fn socket(&self) -> &Path {
        &self.shared.target.socket
    }

    pub(crate) fn target(&self) -> &Target {
        &self.shared.target
    }

    /// Where the broker writes its log.
    pub fn log(&self) -> PathBuf {
        self.shared.target.log()
    }

    /// Opens a session: an idle one, or a new one, on a broker that is started where there is none.
    ///
    /// # Errors
    /// When no broker can be reached or started in time: [`ClientError::Start`], [`ClientError::StartTimedOut`],
    /// [`ClientError::NotAnswering`], [`ClientError::Leaving`]; when it refuses: [`ClientError::Broker`].
    pub async fn session(&self) -> Result<Session, ClientError> {
        let open = match self.shared.idle() {
            Some(open) => open,
            None => self.shared.open(Deadline::after(self.shared.target.options.wait)).await?,
        };
        Ok(Session::new(Slot::new(Arc::clone(&self.shared), open)))
    }

    /// What the broker is doing; `None`: there is none. Starts nothing.
    ///
    /// # Errors
    /// When the broker does not answer as it should: [`ClientError::NotAnswering`] after two seconds at the latest.
    pub async fn status(&self) -> Result<Option<StatusReply>, ClientError> {
        let deadline = self.word();
        let Some(link) = self.shared.target.connect(deadline).await? else { return Ok(None) };
        self.present(link.status(deadline).await)
    }

    /// What the broker has done since its start; `None`: there is none. Starts nothing.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn stats(&self) -> Result<Option<StatsReply>, ClientError> {
        let deadline = self.word();
        let Some(link) = self.shared.target.connect(deadline).await? else { return Ok(None) };
        self.present(link.stats(deadline).await)
    }

    /// Asks the broker to end, and lets running statements take this long. Answers with its process id when it has begun
    /// to; `None`: there is none.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn stop(&self, drain: Duration) -> Result<Option<u32>, ClientError> {
        let deadline = self.word();
        let Some(link) = self.shared.target.connect(deadline).await? else { return Ok(None) };
        let stop = StopRequest { drain_ms: millis(drain) };
        Ok(self.present(link.stop(stop, deadline).await)?.map(|reply| reply.pid))
    }

    fn word(&self) -> Deadline {
        Deadline::after(self.shared.target.options.wait.min(WORD))
    }

    /// A broker that goes away while it is asked is none.
    fn present<T>(&self, answer: Result<T, Trouble>) -> Result<Option<T>, ClientError> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(Trouble::NotSent | Trouble::Lost) => Ok(None),
            Err(trouble) => Err(self.shared.target.error(trouble)),
        }
    }
}
