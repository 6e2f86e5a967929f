//! The one safe way to find or start a broker: connect, lock, connect *again*, start. One deadline over it all.

mod link;
mod spawn;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use dbmux_lock::{Lock, LockError, LockName, Mode, Request, Wait};
use dbmux_proto::{ErrorCode, HelloReply, HelloRequest, StopRequest};

pub(crate) use self::link::{Link, Trouble, trouble};
use crate::{ClientError, ClientOptions};

/// How often it is looked whether a broker that leaves is gone: nothing wakes us for that.
const LEAVING: Duration = Duration::from_millis(10);

/// When everything must have happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) began: Instant,
    pub(crate) wait: Duration,
}

impl Deadline {
    pub(crate) fn after(wait: Duration) -> Self {
        Self { began: Instant::now(), wait }
    }

    pub(crate) fn left(self) -> Duration {
        self.wait.saturating_sub(self.began.elapsed())
    }

    pub(crate) fn passed(self) -> bool {
        self.left().is_zero()
    }
}

/// A database and how to reach its broker.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Canonical.
    pub(crate) database: PathBuf,
    pub(crate) socket: PathBuf,
    pub(crate) options: ClientOptions,
}

impl Target {
    /// Works out where a database's broker listens. Makes nothing.
    pub(crate) fn new(path: &Path, options: ClientOptions) -> Result<Self, ClientError> {
        let database = dbmux_os::runtime::canonical_database_path(path).map_err(|error| place("find", path, &error))?;
        let socket = dbmux_os::runtime::socket_path(&database).map_err(|error| place("find", path, &error))?;
        Ok(Self { database, socket, options })
    }

    /// Connects to the broker that runs; `None`: there is none.
    pub(crate) async fn connect(&self) -> Option<Link> {
        Link::connect(&self.socket).await.ok()
    }

    /// Connects to the broker, and starts it where there is none.
    pub(crate) async fn connect_or_start(&self, deadline: Deadline) -> Result<Link, ClientError> {
        if let Some(link) = self.connect().await {
            return Ok(link);
        }
        if !self.options.start {
            return Err(ClientError::NoBroker { database: self.database.clone() });
        }
        if (!self.options.create || self.options.read_only) && !self.database.exists() {
            return Err(ClientError::NoSuchDatabase { database: self.database.clone() });
        }
        let _starting = self.start_lock(deadline).await?;
        if let Some(link) = self.connect().await {
            return Ok(link);
        }
        let socket = spawn::start(self, deadline).await?;
        Link::connect(&socket).await.map_err(|error| ClientError::Start {
            database: self.database.clone(),
            reason: format!("it listens on {} and does not answer: {error}", socket.display()),
            log: self.log(),
        })
    }

    async fn start_lock(&self, deadline: Deadline) -> Result<dbmux_lock::Guard, ClientError> {
        let made = dbmux_os::runtime::runtime_dir();
        made.map_err(|error| place("make the runtime directory for", &self.database, &error))?;
        let path = self.socket.with_extension("start");
        let wait = deadline.left();
        let taken = tokio::task::spawn_blocking(move || {
            let lock = Lock::open(&path, LockName::Plain)?;
            lock.acquire(&Request::new(Mode::Exclusive).wait(Wait::For(wait)))
        });
        match taken.await {
            Ok(Ok(guard)) => Ok(guard),
            Ok(Err(LockError::TimedOut { .. })) => Err(ClientError::StartTimedOut {
                database: self.database.clone(),
                waited: deadline.began.elapsed(),
                holder: None,
            }),
            Ok(Err(error)) => Err(place("take the start lock of", &self.database, &error)),
            Err(error) => Err(place("take the start lock of", &self.database, &error)),
        }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.socket.with_extension("log")
    }

    /// Opens a session on a broker that speaks our protocol. A broker that speaks an older one is asked to leave, and a
    /// new one is started in its place.
    pub(crate) async fn open(&self, deadline: Deadline) -> Result<(Link, HelloReply), ClientError> {
        loop {
            let mut link = self.connect_or_start(deadline).await?;
            match link.hello(self.hello()).await {
                Ok(reply) => return Ok((link, reply)),
                Err(Trouble::Broker(detail)) if detail.code() == ErrorCode::Protocol => {
                    self.replace(link, &detail.message, deadline).await?;
                }
                Err(Trouble::Broker(detail)) if detail.code() != ErrorCode::Reconnect => {
                    return Err(ClientError::Broker(detail));
                }
                Err(Trouble::Undecodable(text)) => return Err(ClientError::Decode(text)),
                // It leaves, or has just left: nothing of ours was begun.
                Err(_) if deadline.passed() => {
                    return Err(ClientError::StartTimedOut {
                        database: self.database.clone(),
                        waited: deadline.began.elapsed(),
                        holder: None,
                    });
                }
                Err(_) => tokio::time::sleep(LEAVING).await,
            }
        }
    }

    async fn replace(&self, mut link: Link, message: &str, deadline: Deadline) -> Result<(), ClientError> {
        let ours = format!("{}.{}", dbmux_proto::PROTOCOL_MAJOR, dbmux_proto::PROTOCOL_MINOR);
        let theirs = link.status().await.ok().and_then(|status| status.protocol);
        let newer = theirs.as_ref().is_none_or(|theirs| theirs.major > dbmux_proto::PROTOCOL_MAJOR);
        if newer || deadline.passed() {
            let theirs =
                theirs.map_or_else(|| message.to_owned(), |theirs| format!("{}.{}", theirs.major, theirs.minor));
            return Err(ClientError::Protocol { theirs, ours });
        }
        let drain = StopRequest { drain_ms: u64::try_from(deadline.left().as_millis()).unwrap_or(u64::MAX) };
        let _ = link.stop(drain).await;
        while self.connect().await.is_some() && !deadline.passed() {
            tokio::time::sleep(LEAVING).await;
        }
        Ok(())
    }

    pub(crate) fn hello(&self) -> HelloRequest {
        let options = &self.options;
        let directory = options.working_directory.clone().or_else(|| std::env::current_dir().ok());
        HelloRequest {
            protocol: Some(dbmux_proto::protocol()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: options.command.clone().unwrap_or_else(own_command),
            working_directory: directory.map(|path| path.display().to_string()).unwrap_or_default(),
            read_only: options.read_only,
            default_wait_ms: u64::try_from(options.wait.as_millis()).unwrap_or(u64::MAX),
            default_priority: dbmux_proto::Priority::from(options.priority).into(),
        }
    }
}

/// What a person would recognise this process by.
fn own_command() -> String {
    dbmux_os::process::current().map(|process| process.command).unwrap_or_default()
}

pub(crate) fn place(operation: &str, path: &Path, error: &(dyn std::error::Error + 'static)) -> ClientError {
    let mut permission = false;
    let mut cause = Some(error);
    while let Some(present) = cause {
        if let Some(io) = present.downcast_ref::<std::io::Error>() {
            permission |= io.kind() == std::io::ErrorKind::PermissionDenied;
        }
        cause = present.source();
    }
    ClientError::Place { operation: format!("{operation} {}", path.display()), message: error.to_string(), permission }
}
