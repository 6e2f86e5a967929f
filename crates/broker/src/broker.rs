//! The broker itself: how it starts, and the service that it offers to the wire.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use dbmux_engine::{
    Engine, EngineError, HelloReply, HelloRequest, LeaseAsks, LeaseEvents, Peer, Service, ServiceError, Session,
    SessionId, SessionOptions, StatsReply, StatusReply,
};
use dbmux_lock::{Lock, LockError, LockName, Mode, Request, Wait};

use crate::{
    core::Core,
    errors, lease,
    lifecycle::{self, Locks},
    locks,
    options::BrokerOptions,
    session::BrokerSession,
    status,
};

/// The single owner of a database file.
pub struct Broker {
    core: Arc<Core>,
}

impl Broker {
    /// Becomes the owner of the database: takes the owner lock, makes the engine, and begins to live on the present
    /// runtime. The file is not touched before the first statement.
    ///
    /// # Errors
    /// `DATABASE_LOCKED` with the present owner when it does not leave in time; whatever the sidecar or the engine
    /// refuses.
    pub async fn start(
        options: BrokerOptions,
        make: impl FnOnce() -> Result<Arc<dyn Engine>, EngineError> + Send + 'static,
    ) -> Result<Self, ServiceError> {
        let database = options.database.clone();
        let start_wait = options.start_wait;
        let started = tokio::task::spawn_blocking(move || {
            let locks = take_locks(&database, start_wait)?;
            // Only the owner may clear what an earlier one has left behind: the engine does that when it is made.
            let engine = make().map_err(|error| errors::engine(error, &database))?;
            Ok::<_, ServiceError>((locks, engine))
        });
        let (locks, engine) = started.await.map_err(|error| errors::internal(error.to_string()))??;
        let core = Core::new(options, engine);
        tokio::spawn(lifecycle::live(Arc::clone(&core), locks));
        Ok(Self { core })
    }

    /// Takes no more, and ends when what runs has ended, or after this time.
    pub fn drain(&self, limit: Duration) {
        self.core.drain(limit);
    }

    /// Resolves when the broker has ended: the file is released and the locks are given back.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        self.core.ended.clone().cancelled_owned()
    }
}

fn take_locks(database: &Path, wait: Duration) -> Result<Locks, ServiceError> {
    let lock_error = |error: LockError| locks::error(&error, database);
    let owner = Arc::new(Lock::open_for_database(database, LockName::Owner).map_err(lock_error)?);
    let file = Arc::new(Lock::open_for_database(database, LockName::File).map_err(lock_error)?);
    let request = Request::new(Mode::Exclusive).wait(Wait::For(wait));
    let owned = owner.acquire(&request).map_err(lock_error)?;
    Ok(Locks { owner, owned: Arc::new(owned), file })
}

#[async_trait::async_trait]
impl Service for Broker {
    async fn open_session(
        &self,
        hello: HelloRequest,
        peer: Peer,
    ) -> Result<(HelloReply, Arc<dyn Session>), ServiceError> {
        let core = &self.core;
        if core.is_draining() {
            // For whom it still waits is for whom the next broker waits.
            return Err(errors::reconnect().held_by(core.longest_in_file()));
        }
        let hello = completed(hello, peer);
        let working_directory = match hello.working_directory.as_str() {
            "" => None,
            path => Some(PathBuf::from(path)),
        };
        let options = SessionOptions { working_directory, read_only: hello.read_only, local: peer.uid.is_some() };
        let engine = Arc::clone(&core.engine);
        let opened = tokio::task::spawn_blocking(move || engine.open_session(&options)).await;
        let opened = opened.map_err(|error| errors::internal(error.to_string()))?;
        let engine_session = opened.map_err(|error| core.engine_error(error))?;
        let id = SessionId(rand::random());
        let session = BrokerSession::new(id, core, &hello, peer, engine_session);
        core.sessions.lock().insert(id, Arc::clone(&session));
        core.counters.session_opened();
        Ok((self.greeting(id), session))
    }

    fn session(&self, id: SessionId) -> Option<Arc<dyn Session>> {
        let session = self.core.sessions.lock().get(&id).cloned()?;
        Some(session)
    }

    async fn close_session(&self, id: SessionId) {
        let closed = self.core.sessions.lock().remove(&id);
        if let Some(session) = closed {
            session.close().await;
        }
    }

    async fn status(&self) -> StatusReply {
        status::status(&self.core).await
    }

    async fn stats(&self) -> StatsReply {
        let admission = self.core.admission.view();
        let mut reply = self.core.counters.reply();
        reply.attaches = self.core.file.attaches();
        reply.releases = self.core.file.releases();
        reply.queued = u32::try_from(admission.queued).unwrap_or(u32::MAX);
        reply.running = u32::try_from(admission.running).unwrap_or(u32::MAX);
        reply.queued_max = u32::try_from(admission.queued_max).unwrap_or(u32::MAX);
        reply
    }

    fn lease(&self, asks: LeaseAsks, peer: Peer) -> LeaseEvents {
        lease::serve(&self.core, asks, peer)
    }

    async fn stop(&self, drain: Duration) {
        self.core.drain(drain);
    }
}

impl Broker {
    fn greeting(&self, id: SessionId) -> HelloReply {
        let core = &self.core;
        HelloReply {
            protocol: Some(dbmux_proto::protocol()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            session: id.0.to_vec(),
            database_path: core.options.database.display().to_string(),
            catalog: core.engine.catalog().to_owned(),
            engine: core.engine.name().to_owned(),
            engine_version: core.engine.version(),
            broker_pid: std::process::id(),
            notices: core.engine.notices(),
        }
    }
}

/// A client that does not say who and where it is (standard ones don't) is what the system says of its process.
fn completed(mut hello: HelloRequest, peer: Peer) -> HelloRequest {
    if hello.command.is_empty()
        && peer.uid.is_some()
        && let Ok(process) = dbmux_os::process::info(peer.pid)
    {
        hello.command = process.command;
        let directory = process.working_directory.as_deref().and_then(std::path::Path::to_str);
        if let Some(directory) = directory.filter(|_| hello.working_directory.is_empty()) {
            directory.clone_into(&mut hello.working_directory);
        }
    }
    hello
}
