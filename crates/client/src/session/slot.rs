//! A place at the broker: what a session and its unread answers hold together, and what becomes of it when the last of
//! them lets go.

use std::{sync::Arc, time::Duration};

use dbmux_proto::{CloseSessionRequest, HelloReply};
use futures::FutureExt;
use parking_lot::Mutex;
use tokio::time::timeout;

use super::{
    attempt::Attempt,
    state::{State, Transaction},
};
use crate::{
    ClientError, Statement,
    client::Shared,
    connect::{Deadline, Link, OWN_ANSWER, Silence, Trouble},
};

/// How long a session that is let go of waits for the broker's farewell.
const FAREWELL: Duration = Duration::from_secs(10);

type RollingBack = futures::future::Shared<futures::future::BoxFuture<'static, ()>>;

/// A session on one broker.
#[derive(Clone)]
pub(crate) struct Open {
    pub(crate) link: Link,
    pub(crate) hello: Arc<HelloReply>,
}

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
    rolling_back: Mutex<Option<RollingBack>>,
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
    fn forget_session(&self, gone: &Open) {
        let mut open = self.open.lock();
        if open.as_ref().is_some_and(|open| open.hello.session == gone.hello.session) {
            *open = None;
        }
    }

    /// Rolls back, while the caller goes on. Where that cannot be done, the session is closed.
    pub(crate) fn roll_back_behind(self: &Arc<Self>) {
        let Some(open) = self.present() else { return };
        let runtime = open.link.runtime().clone();
        let task = runtime.spawn(roll_back(Arc::clone(self), open));
        *self.rolling_back.lock() = Some(task.map(drop).boxed().shared());
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

/// Rolls back on the session itself, so that its temporary tables stay; or closes it.
async fn roll_back(slot: Arc<Slot>, open: Open) {
    let told = match Attempt::new(&slot, &Statement::new("ROLLBACK")) {
        Ok(mut attempt) => attempt.exchange(&open).await,
        Err(_) => return,
    };
    let mut state = slot.state.lock();
    if state.transaction == Transaction::None {
        return;
    }
    // The transaction was given up; the rest of the session was not.
    state.transaction = Transaction::None;
    state.lose(false);
    drop(state);
    match told {
        Err(Trouble::Lost | Trouble::NotSent) => slot.forget(&open),
        _ => {
            slot.forget_session(&open);
            close(open);
        }
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

/// Closes a session behind the caller's back. Where its runtime has ended, the connection's end has closed it.
pub(crate) fn close(open: Open) {
    let runtime = open.link.runtime().clone();
    runtime.spawn(async move {
        let request = CloseSessionRequest { session: open.hello.session.clone() };
        // A broker that is gone, or stopped, has no session to keep.
        let _ = timeout(FAREWELL, open.link.control().close_session(request)).await;
    });
}
