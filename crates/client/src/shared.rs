//! What all sessions of a client share: the present connection, which is made anew when it is over, and the sessions that
//! are idle.

use std::{sync::Arc, time::Duration};

use dbmux_proto::{CloseSessionRequest, ErrorCode, HelloReply};
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::{
    ClientError,
    connect::{Deadline, Link, OWN_ANSWER, Target, Trouble},
};

/// Idle sessions that are kept for the next caller.
const KEPT: usize = 32;
/// How long a session that is let go of waits for the broker's farewell.
const FAREWELL: Duration = Duration::from_secs(10);

/// A session on one broker.
#[derive(Clone)]
pub(crate) struct Open {
    pub(crate) link: Link,
    pub(crate) hello: Arc<HelloReply>,
}

/// What all sessions of a client share.
pub(crate) struct Shared {
    pub(crate) target: Target,
    /// The present connection.
    present: Mutex<Option<Link>>,
    /// One caller at a time makes a new one.
    making: tokio::sync::Mutex<()>,
    idle: Mutex<Vec<Open>>,
}

impl Shared {
    pub(crate) fn new(target: Target) -> Self {
        Self { target, present: Mutex::default(), making: tokio::sync::Mutex::default(), idle: Mutex::default() }
    }

    /// An idle session, if there is one.
    pub(crate) fn idle(&self) -> Option<Open> {
        self.idle.lock().pop()
    }

    /// Opens a session on the present connection, or on a new one when that is over.
    pub(crate) async fn open(&self, deadline: Deadline) -> Result<Open, ClientError> {
        if let Some(open) = self.open_present(deadline).await? {
            return Ok(open);
        }
        let Ok(making) = tokio::time::timeout(deadline.left().max(OWN_ANSWER), self.making.lock()).await else {
            let (database, waited) = (self.target.database.clone(), deadline.waited());
            return Err(ClientError::StartTimedOut { database, waited, holder: None });
        };
        let mut making = Some(making);
        if self.present.lock().is_some() {
            // Another caller has made one meanwhile: those that waited for it open their sessions side by side.
            making = None;
            if let Some(open) = self.open_present(deadline).await? {
                return Ok(open);
            }
        }
        let (link, hello) = self.target.open(deadline).await?;
        *self.present.lock() = Some(link.clone());
        drop(making);
        Ok(Open { link, hello: Arc::new(hello) })
    }

    async fn open_present(&self, deadline: Deadline) -> Result<Option<Open>, ClientError> {
        let Some(link) = self.present.lock().clone() else { return Ok(None) };
        match link.hello(self.target.hello(), deadline).await {
            Ok(hello) => Ok(Some(Open { link, hello: Arc::new(hello) })),
            Err(Trouble::Broker(detail)) if !matches!(detail.code(), ErrorCode::Reconnect | ErrorCode::Protocol) => {
                Err(ClientError::Broker(detail))
            }
            Err(Trouble::Silent(silence)) => Err(self.target.silent(silence)),
            Err(_) => {
                self.forget(&link);
                Ok(None)
            }
        }
    }

    /// A connection is over, and so are its idle sessions.
    pub(crate) fn forget(&self, gone: &Link) {
        self.idle.lock().retain(|open| !open.link.is(gone));
        let mut present = self.present.lock();
        if present.as_ref().is_some_and(|present| present.is(gone)) {
            *present = None;
        }
    }

    /// Keeps an idle session for the next caller.
    pub(crate) fn keep(&self, open: Open) {
        let mut idle = self.idle.lock();
        if idle.len() < KEPT {
            return idle.push(open);
        }
        drop(idle);
        close(open);
    }
}

/// Closes a session behind the caller's back. Where its runtime has ended, the connection's end has closed it.
pub(crate) fn close(open: Open) {
    let runtime = open.link.runtime().clone();
    runtime.spawn(async move {
        let request = CloseSessionRequest { session: open.hello.session.clone() };
        // A broker that is gone, or stopped, has no session to keep.
        let _ = timeout(FAREWELL, open.link.control().close_session(request)).await;
    });
}
