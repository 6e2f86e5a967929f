//! What waits in a lane, and how long the lane lets more come.
//!
//! Whoever commits sleeps until as many wait as were seen at work a moment ago, or for as long as a commit takes:
//! clients that answer an acknowledgement with their next insert then share the next sync, instead of missing it by as
//! little as their message's way. Nobody waits for one who is alone.

use std::time::{Duration, Instant};

use dbmux_engine::Parameters;
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::Item;

/// The longest wait for more, whatever a commit takes.
const LONGEST_WAIT: Duration = Duration::from_millis(2);
/// What the rows of one batch may take, in bytes: they are brought together. One item alone may take more.
const LARGEST: usize = 32 << 20;
/// How long a thread stays with a lane that has become empty: whoever comes next needs no other one to be woken.
const LINGER: Duration = Duration::from_millis(2);

/// Items in the order in which they came. One task waits for the first, and then one thread takes.
pub(super) struct Queue {
    state: Mutex<State>,
    /// For the thread.
    enough: Condvar,
    /// For the task.
    first: Notify,
}

struct State {
    items: Vec<Item>,
    /// The thread sleeps until there are so many. 0: it does not sleep.
    wanted: usize,
    closed: bool,
}

/// How many are at work in a lane, and what a commit takes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    at_work: usize,
    wait: Duration,
}

impl Pace {
    /// After a commit of so many items, while others had come already.
    pub(super) fn of(committed: usize, waiting: usize, took: Duration) -> Self {
        Self { at_work: committed + waiting, wait: took.min(LONGEST_WAIT) }
    }
}

impl Queue {
    pub(super) fn new() -> Self {
        let state = State { items: Vec::new(), wanted: 0, closed: false };
        Self { state: Mutex::new(state), enough: Condvar::new(), first: Notify::new() }
    }

    /// Puts an item at the end, or gives it back where the lane has ended.
    pub(super) fn put(&self, item: Item) -> Option<Item> {
        let mut state = self.state.lock();
        if state.closed {
            return Some(item);
        }
        state.items.push(item);
        let count = state.items.len();
        let wakes = state.wanted != 0 && count >= state.wanted;
        drop(state);
        if wakes {
            self.enough.notify_one();
        }
        if count == 1 {
            self.first.notify_one();
        }
        None
    }

    /// Waits until there is something.
    pub(super) async fn arrival(&self) {
        while self.waiting() == 0 {
            self.first.notified().await;
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.state.lock().items.len()
    }

    /// Takes what waits, up to a limit, after the others have had their time to come. Nothing: nobody came for a while.
    pub(super) fn take(&self, most: usize, pace: Pace) -> Vec<Item> {
        let mut state = self.state.lock();
        let began = Instant::now();
        self.sleep(&mut state, pace.at_work.min(most), began + pace.wait);
        if state.items.is_empty() {
            self.sleep(&mut state, 1, began + LINGER);
        }
        let mut bytes = 0;
        let fits = |item: &&Item| {
            bytes += item.parameters.as_ref().map_or(0, Parameters::get_array_memory_size);
            bytes <= LARGEST
        };
        let count = state.items.iter().take(most).take_while(fits).count().max(1).min(state.items.len());
        state.items.drain(..count).collect()
    }

    fn sleep(&self, state: &mut parking_lot::MutexGuard<'_, State>, wanted: usize, until: Instant) {
        state.wanted = wanted;
        while state.items.len() < wanted && !self.enough.wait_until(state, until).timed_out() {}
        state.wanted = 0;
    }

    /// Closes it, unless something has just come.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut state = self.state.lock();
        state.closed |= state.items.is_empty();
        state.closed
    }

    /// Closes it, and answers with what is left.
    pub(super) fn close(&self) -> Vec<Item> {
        let mut state = self.state.lock();
        state.closed = true;
        std::mem::take(&mut state.items)
    }
}
