//! A place at the broker: what a session and its unread answers hold together, and what becomes of it when the last of
//! them lets go.

use std::sync::Arc;

use dbmux_proto::HelloReply;
use parking_lot::Mutex;
use tokio::time::timeout;

use super::state::State;
use crate::{
    ClientError,
    connect::{Deadline, OWN_ANSWER, Silence},
    shared::{Open, Shared, close},
};

pub(super) type RollingBack = futures::future::Shared<futures::future::BoxFuture<'static, ()>>;

/// A place at the broker.
///
/// Given up by its session and all answers, it is kept for the next caller when it is known to be clean, and closed
/// otherwise, which rolls back whatever is open.
pub(crate) struct Slot {
    pub(crate) shared: Arc<Shared>,
    /// `None`: the next statement opens one.
    open: Mutex<Option<Open>>,
    hello: Mutex<Arc<HelloReply>>,
    pub(crate) state: Mutex<State>,
    /// A transaction that was dropped is rolled back behind the caller's back; the next statement waits for that.
    pub(super) rolling_back: Mutex<Option<RollingBack>>,
}

impl Slot {
    pub(crate) fn new(shared: Arc<Shared>, open: Open) -> Arc<Self> {
        let hello = Mutex::new(Arc::clone(&open.hello));
        let open = Mutex::new(Some(open));
        Arc::new(Self { shared, open, hello, state: Mutex::default(), rolling_back: Mutex::default() })
    }

    /// What the broker said when the session was opened last.
    pub(crate) fn hello(&self) -> Arc<HelloReply> {
        Arc::clone(&self.hello.lock())
    }

    /// The session, where there is one.
    pub(crate) fn present(&self) -> Option<Open> {
        self.open.lock().clone()
    }

    /// The session, which is opened where there is none.
    pub(super) async fn opened(&self, deadline: Deadline) -> Result<Open, ClientError> {
        if let Some(open) = self.present() {
            return Ok(open);
        }
        let open = self.shared.open(deadline).await?;
        *self.hello.lock() = Arc::clone(&open.hello);
        // Another statement of the session may have been quicker.
        let (open, needless) = match &mut *self.open.lock() {
            Some(present) => (present.clone(), Some(open)),
            empty => (empty.insert(open).clone(), None),
        };
        if let Some(needless) = needless {
            close(needless);
        }
        Ok(open)
    }

    /// The connection is gone, and the session with it. The next statement opens another one.
    pub(super) fn forget(&self, gone: &Open) {
        self.shared.forget(&gone.link);
        self.forget_session(gone);
    }

    /// The session is gone; the connection and its other sessions live on.
    pub(super) fn forget_session(&self, gone: &Open) {
        let mut open = self.open.lock();
        if open.as_ref().is_some_and(|open| open.hello.session == gone.hello.session) {
            *open = None;
        }
    }

    /// Waits until a transaction that was dropped is rolled back.
    pub(super) async fn rolled_back(&self, deadline: Deadline) -> Result<(), ClientError> {
        let Some(rolling_back) = self.rolling_back.lock().clone() else { return Ok(()) };
        if timeout(deadline.left().max(OWN_ANSWER), rolling_back.clone()).await.is_err() {
            let pid = self.present().and_then(|open| open.link.pid());
            return Err(self.shared.target.silent(Silence::of(pid, deadline)));
        }
        let mut present = self.rolling_back.lock();
        if present.as_ref().is_some_and(|present| present.ptr_eq(&rolling_back)) {
            *present = None;
        }
        Ok(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(open) = self.open.get_mut().take() else { return };
        match self.state.get_mut().is_clean() {
            true => self.shared.keep(open),
            false => close(open),
        }
    }
}
