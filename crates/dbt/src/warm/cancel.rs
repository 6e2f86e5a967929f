//! Stopping an invocation from elsewhere, as Ctrl-C stops dbt.

use std::{
    io::Write,
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, PoisonError},
};

/// Stops one invocation: made before it, cloned to whoever may cancel.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    cancelled: bool,
    /// The request that runs, and its bridge.
    running: Option<(u64, UnixStream)>,
}

impl Cancel {
    /// Something to cancel by.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the invocation, as Ctrl-C stops dbt: what runs is interrupted, the rest is not begun, and the invocation
    /// returns when dbt has come to its end. One that has not begun never begins. Doing it twice is doing it once.
    pub fn cancel(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let first = !std::mem::replace(&mut state.cancelled, true);
        if first && let Some((id, bridge)) = &state.running {
            tell(bridge, *id);
        }
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).cancelled
    }

    /// From now on, that request is what cancelling stops.
    pub(super) fn runs(&self, id: u64, bridge: UnixStream) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.cancelled {
            tell(&bridge, id);
        }
        state.running = Some((id, bridge));
    }

    /// The request has ended.
    pub(super) fn ended(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).running = None;
    }
}

fn tell(mut bridge: &UnixStream, id: u64) {
    let line = format!("{{\"do\":\"cancel\",\"id\":{id}}}\n");
    // A bridge that is gone has nothing left to stop; one that reads nothing is no worse off.
    let _ = bridge.write_all(line.as_bytes());
}
