//! One connection: who is at the other end, and the sessions that its calls run in.
//!
//! A call names its session in its metadata. Standard clients don't know of that: their calls share one session that is
//! opened at the first of them, as a person would expect of `connect()` and `close()`.
//!
//! Every session belongs to the connection that it was opened on, and ends with it: a client that is killed says no
//! goodbye, and its open transaction must not keep the others waiting.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use dbmux_engine::{ErrorCode, HelloReply, HelloRequest, Peer, Service, ServiceError, Session, SessionId};
use dbmux_proto::SESSION_HEADER;
use futures::future::join_all;
use parking_lot::Mutex;
use tonic::{Request, Status};

use crate::{
    memory::Memory,
    status::{internal, invalid, status},
};

/// How long statements of a session wait that nobody has said anything about: 30 s, in milliseconds.
const DEFAULT_WAIT_MS: u64 = 30_000;

/// A connection.
pub(crate) struct Connection {
    service: Arc<dyn Service>,
    peer: Peer,
    /// The session of calls that name none.
    implicit: tokio::sync::Mutex<Option<Arc<dyn Session>>>,
    /// The sessions that were opened here; `None`: the connection is over.
    opened: Mutex<Option<HashSet<SessionId>>>,
    /// What Flight SQL remembers of each session: prepared statements' parameters, transactions.
    memories: Mutex<HashMap<SessionId, Arc<Memory>>>,
}

/// The session of one call, and what is remembered of it.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) session: Arc<dyn Session>,
    pub(crate) memory: Arc<Memory>,
}

impl Connection {
    pub(crate) fn new(service: Arc<dyn Service>, peer: Peer) -> Arc<Self> {
        Arc::new(Self {
            service,
            peer,
            implicit: tokio::sync::Mutex::new(None),
            opened: Mutex::new(Some(HashSet::new())),
            memories: Mutex::default(),
        })
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> Peer {
        self.peer
    }

    /// The connection that a call came over.
    pub(crate) fn of<T>(request: &Request<T>) -> Result<Arc<Self>, Status> {
        let connection = request.extensions().get::<Arc<Self>>().cloned();
        connection.ok_or_else(|| internal("a call came over no connection"))
    }

    /// The session that a call runs in.
    pub(crate) async fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
        let connection = Self::of(request)?;
        let session = match request.metadata().get_bin(SESSION_HEADER) {
            Some(name) => {
                let name = name.to_bytes().map_err(|_| invalid(format!("{SESSION_HEADER} is not base64")))?;
                connection.named(&name)?
            }
            None => connection.implicit().await?,
        };
        let memory = connection.memories.lock().entry(session.id()).or_default().clone();
        Ok(Caller { session, memory })
    }

    /// An open session, by its name on the wire.
    pub(crate) fn named(&self, name: &[u8]) -> Result<Arc<dyn Session>, Status> {
        self.service.session(session_id(name)?).ok_or_else(lost)
    }

    /// The session of the connection itself.
    async fn implicit(self: &Arc<Self>) -> Result<Arc<dyn Session>, Status> {
        let mut implicit = self.implicit.lock().await;
        if let Some(session) = &*implicit {
            let session = Arc::clone(session);
            if self.service.session(session.id()).is_none() {
                // Whatever it had is gone, and the client must know; its next call gets a new one.
                self.forget(session.id());
                *implicit = None;
                return Err(lost());
            }
            return Ok(session);
        }
        let hello = HelloRequest {
            protocol: Some(dbmux_proto::protocol()),
            default_wait_ms: DEFAULT_WAIT_MS,
            ..HelloRequest::default()
        };
        let (_, session) = self.open(hello).await?;
        *implicit = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Opens a session that ends with the connection, or before.
    pub(crate) async fn open(self: &Arc<Self>, hello: HelloRequest) -> Result<(HelloReply, Arc<dyn Session>), Status> {
        let connection = Arc::clone(self);
        // A task of its own: a caller that goes away meanwhile must not leave a session that nobody knows of.
        let opening = tokio::spawn(async move {
            let (reply, session) = connection.service.open_session(hello, connection.peer).await.map_err(status)?;
            // Either the connection is seen to be over here, or `close` sees the session.
            let is_kept = connection.opened.lock().as_mut().map(|opened| opened.insert(session.id())).is_some();
            if is_kept {
                return Ok((reply, session));
            }
            connection.service.close_session(session.id()).await;
            Err(lost())
        });
        opening.await.unwrap_or_else(|error| Err(internal(format!("a session could not be opened: {error}"))))
    }

    /// Forgets what was remembered of a session.
    pub(crate) fn forget(&self, session: SessionId) {
        self.memories.lock().remove(&session);
    }

    /// Ends a session at its client's wish.
    pub(crate) async fn close_session(&self, session: SessionId) {
        self.forget(session);
        if let Some(opened) = self.opened.lock().as_mut() {
            opened.remove(&session);
        }
        self.service.close_session(session).await;
    }

    /// Ends the connection's own session at its client's wish; the next call opens a new one.
    pub(crate) async fn close_implicit(&self) {
        if let Some(session) = self.implicit.lock().await.take() {
            self.close_session(session.id()).await;
        }
    }

    /// Ends all sessions that were opened here: the connection is over.
    pub(crate) async fn close(&self) {
        let opened = self.opened.lock().take().unwrap_or_default();
        join_all(opened.into_iter().map(|session| self.service.close_session(session))).await;
    }
}

/// Reads a session's name.
pub(crate) fn session_id(name: &[u8]) -> Result<SessionId, Status> {
    let bytes = name.try_into().map_err(|_| invalid(format!("a session's id has 16 bytes, not {}", name.len())))?;
    Ok(SessionId(bytes))
}

fn lost() -> Status {
    let error =
        ServiceError::new(ErrorCode::SessionLost, "the session is closed: its temporary objects and settings are gone");
    status(error.suggest("open a new session"))
}
