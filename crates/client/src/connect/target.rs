//! A database, and the way to its broker.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use dbmux_lock::{Lock, LockError, LockName, Mode, Request, Wait};
use dbmux_os::{range_lock::CancelFlag, runtime};
use dbmux_proto::{ErrorCode, HelloReply, HelloRequest, Holder, HolderKind, StopRequest};

use super::{Deadline, Link, NoLink, Silence, Trouble, millis, spawn};
use crate::{ClientError, ClientOptions, lock_holder};

/// How often it is looked whether a broker that leaves is gone, at first and at last: nothing wakes us for that.
const LEAVING: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// How often a broker is started before it is given up: one that ends at once may have been killed, two are ill.
const STARTS: u32 = 2;

/// A database and how to reach its broker.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Canonical.
    pub(crate) database: PathBuf,
    /// The runtime directory. Absolute.
    pub(crate) runtime: PathBuf,
    pub(crate) socket: PathBuf,
    pub(crate) options: ClientOptions,
}

impl Target {
    /// Works out where a database's broker listens. Makes nothing.
    pub(crate) fn new(path: &Path, options: ClientOptions) -> Result<Self, ClientError> {
        let database = canonical(path)?;
        let runtime = match &options.runtime_directory {
            Some(chosen) => std::path::absolute(chosen).map_err(|error| place("find", chosen, &error))?,
            None => usual_runtime_directory()?,
        };
        let socket = runtime::socket_path_in(&runtime, &database).map_err(|error| refused(path, error))?;
        Ok(Self { database, runtime, socket, options })
    }

    /// Connects to the broker that runs; `None`: there is none.
    pub(crate) async fn connect(&self, deadline: Deadline) -> Result<Option<Link>, ClientError> {
        if self.runtime.exists() {
            // Statements are told to nobody who might only pose as a broker.
            runtime::check_private(&self.runtime).map_err(|error| not_usable(&self.runtime, error))?;
        }
        match Link::connect(&self.socket, deadline).await {
            Ok(link) => Ok(Some(link)),
            Err(NoLink::Nobody) => Ok(None),
            Err(NoLink::Silent(silence)) => Err(self.silent(silence)),
            Err(NoLink::Refused(error)) => Err(place("connect to", &self.socket, &error)),
        }
    }

    /// Connects to the broker, and starts it where there is none.
    async fn connect_or_start(&self, deadline: Deadline) -> Result<Link, ClientError> {
        if let Some(link) = self.connect(deadline).await? {
            return Ok(link);
        }
        if !self.options.start {
            return Err(ClientError::NoBroker { database: self.database.clone() });
        }
        if (!self.options.create || self.options.read_only) && !self.database.exists() {
            return Err(ClientError::NoSuchDatabase { database: self.database.clone() });
        }
        let _starting = self.start_lock(deadline).await?;
        if let Some(link) = self.connect(deadline).await? {
            return Ok(link);
        }
        for _ in 0..STARTS {
            let Some(socket) = spawn::start(self, deadline).await? else {
                // It may serve all the same: another program's words may have gone before its own.
                match self.connect(deadline).await? {
                    Some(link) => return Ok(link),
                    None => continue,
                }
            };
            match Link::connect(&socket, deadline).await {
                Ok(link) => return Ok(link),
                Err(NoLink::Silent(silence)) => return Err(self.silent(silence)),
                Err(NoLink::Refused(error)) => return Err(place("connect to", &socket, &error)),
                Err(NoLink::Nobody) => {}
            }
        }
        Err(spawn::died(self))
    }

    async fn start_lock(&self, deadline: Deadline) -> Result<dbmux_lock::Guard, ClientError> {
        let made = runtime::make_private(&self.runtime);
        made.map_err(|error| not_usable(&self.runtime, error))?;
        let path = self.socket.with_extension("start");
        let wait = deadline.left();
        let cancel = CancelFlag::new();
        let _cancelled = CancelOnDrop(cancel.clone());
        let taken = tokio::task::spawn_blocking(move || {
            let lock = Lock::open(&path, LockName::Plain)?;
            lock.acquire(&Request::new(Mode::Exclusive).wait(Wait::For(wait)).cancel(cancel))
        });
        match taken.await {
            Ok(Ok(guard)) => Ok(guard),
            Ok(Err(LockError::TimedOut { holder, .. })) => Err(ClientError::StartTimedOut {
                database: self.database.clone(),
                waited: deadline.waited(),
                holder: holder.as_deref().map(lock_holder).map(Box::new),
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
        let mut pause = LEAVING.0;
        loop {
            let link = self.connect_or_start(deadline).await?;
            match link.hello(self.hello(), deadline).await {
                Ok(reply) => return self.is_of_engine(&reply).map(|()| (link, reply)),
                Err(Trouble::Broker(detail)) if detail.code() == ErrorCode::Protocol => {
                    self.replace(link, &detail.message, deadline).await?;
                }
                Err(Trouble::Broker(detail)) if detail.code() != ErrorCode::Reconnect => {
                    return Err(ClientError::Broker(detail));
                }
                Err(Trouble::Undecodable(text)) => return Err(ClientError::Decode(text)),
                Err(Trouble::Silent(silence)) => return Err(self.silent(silence)),
                // It leaves, or has just left: nothing of ours was begun.
                Err(_) if deadline.passed() => return Err(self.leaving(&link, deadline)),
                Err(_) => {
                    tokio::time::sleep(pause.min(deadline.left())).await;
                    pause = LEAVING.1.min(pause * 2);
                }
            }
        }
    }

    /// Refuses a file of another engine than the one that was asked for.
    fn is_of_engine(&self, reply: &HelloReply) -> Result<(), ClientError> {
        match &self.options.engine {
            Some(wanted) if *wanted != reply.engine => Err(ClientError::OtherEngine {
                database: self.database.clone(),
                engine: reply.engine.clone(),
                wanted: wanted.clone(),
            }),
            _ => Ok(()),
        }
    }

    async fn replace(&self, link: Link, message: &str, deadline: Deadline) -> Result<(), ClientError> {
        let ours = format!("{}.{}", dbmux_proto::PROTOCOL_MAJOR, dbmux_proto::PROTOCOL_MINOR);
        let theirs = link.status(deadline).await.ok().and_then(|status| status.protocol);
        let newer = theirs.as_ref().is_none_or(|theirs| theirs.major > dbmux_proto::PROTOCOL_MAJOR);
        if newer {
            let theirs =
                theirs.map_or_else(|| message.to_owned(), |theirs| format!("{}.{}", theirs.major, theirs.minor));
            return Err(ClientError::Protocol { theirs, ours });
        }
        // One that cannot be told will be met again.
        let _ = link.stop(StopRequest { drain_ms: millis(deadline.left()) }, deadline).await;
        while self.connect(deadline).await?.is_some() {
            if deadline.passed() {
                return Err(self.leaving(&link, deadline));
            }
            tokio::time::sleep(LEAVING.0).await;
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
            default_wait_ms: millis(options.wait),
            default_priority: dbmux_proto::Priority::from(options.priority).into(),
            reads: dbmux_proto::LeaseReads::from(options.reads).into(),
        }
    }

    /// The broker is there, and does not answer.
    pub(crate) fn silent(&self, silence: Silence) -> ClientError {
        let Silence { holder, waited } = silence;
        let holder = holder.or_else(|| self.owner().map(Box::new));
        ClientError::NotAnswering { database: self.database.clone(), waited, holder, log: self.log() }
    }

    /// What a question that has no answer comes to.
    pub(crate) fn error(&self, trouble: Trouble) -> ClientError {
        match trouble {
            Trouble::Broker(detail) => ClientError::Broker(detail),
            Trouble::Undecodable(text) => ClientError::Decode(text),
            Trouble::Silent(silence) => self.silent(silence),
            Trouble::NotSent | Trouble::Lost => ClientError::SessionLost { database: self.database.clone() },
        }
    }

    /// The broker is about to leave, and has not left in time.
    pub(crate) fn leaving(&self, link: &Link, deadline: Deadline) -> ClientError {
        let Silence { holder, waited } = Silence::of(link.pid(), deadline);
        ClientError::Leaving { database: self.database.clone(), waited, holder }
    }

    /// Who has the owner lock, as its sidecar says.
    fn owner(&self) -> Option<Holder> {
        let sidecar = dbmux_lock::sidecar_path(&self.database);
        let owner = Lock::peek(&sidecar, LockName::Owner).ok().flatten()?;
        let mut holder = owner.holders.first().map(lock_holder)?;
        holder.set_kind(HolderKind::Broker);
        Some(holder)
    }
}

/// Nobody waits for the lock any more.
struct CancelOnDrop(CancelFlag);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What a person would recognise this process by.
fn own_command() -> String {
    dbmux_os::process::current().map(|process| process.command).unwrap_or_default()
}

/// The one path of a database file.
pub(crate) fn canonical(path: &Path) -> Result<PathBuf, ClientError> {
    if path.as_os_str() == ":memory:" {
        return Err(ClientError::InMemory);
    }
    runtime::canonical_database_path(path).map_err(|error| refused(path, error))
}

/// The runtime directory of whoever has chosen none.
///
/// # Errors
/// When it is relative: a broker has another working directory than its client, and would listen elsewhere.
pub(crate) fn usual_runtime_directory() -> Result<PathBuf, ClientError> {
    let path = runtime::runtime_path();
    if path.is_absolute() {
        return Ok(path);
    }
    let why = "it must be an absolute path, the same for all that shall meet";
    Err(ClientError::InvalidArgument(format!("DBMUX_RUNTIME_DIR={} makes no sense: {why}", path.display())))
}

fn not_usable(directory: &Path, error: dbmux_os::OsError) -> ClientError {
    match error {
        dbmux_os::OsError::NotPrivate { path, found, closable } => {
            ClientError::RuntimeDirectory { directory: path, found, closable }
        }
        other => place("use the runtime directory", directory, &other),
    }
}

/// A path that cannot be a database's: the refusal has a name for it already.
fn refused(path: &Path, error: dbmux_os::OsError) -> ClientError {
    match error {
        // A file that is missing is made; what is missing here is where it would be.
        dbmux_os::OsError::Path { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            ClientError::NoSuchDirectory { database: path.to_owned() }
        }
        dbmux_os::OsError::Path { operation, path, source } => place(operation, &path, &source),
        other => place("find", path, &other),
    }
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
