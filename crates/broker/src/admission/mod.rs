//! How many statements run at once, and who waits: a bounded queue in front of a pool of permits.
//!
//! The pool starts small, grows while somebody waits and nothing moves, and shrinks when the places stay empty.
//! A permit returns when it is dropped, wherever that happens, so that no path can lose one.

mod queue;

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use dbmux_engine::Priority;
use parking_lot::Mutex;
use tokio::sync::oneshot;

pub(crate) use self::queue::Place;
use self::queue::Queue;

/// How long nothing may move, with somebody waiting, before the pool grows by one.
const GROW_AFTER: Duration = Duration::from_millis(20);
/// How long a place stays empty before the pool shrinks by one.
const SHRINK_AFTER: Duration = Duration::from_secs(5);

/// The limits of an [`Admission`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) workers_min: usize,
    pub(crate) workers_max: usize,
    pub(crate) queue: usize,
}

/// What is to be seen of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct View {
    pub(crate) running: usize,
    pub(crate) queued: usize,
    pub(crate) queued_max: usize,
    pub(crate) workers: usize,
}

/// The queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) depth: usize,
}

/// The door to the engine.
#[derive(Clone)]
pub(crate) struct Admission {
    limits: Limits,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    queue: Queue<oneshot::Sender<Permit>>,
    running: usize,
    workers: usize,
    queued_max: usize,
    last_grant: Instant,
    last_full: Instant,
    grower: bool,
}

/// The right to run one statement now.
pub(crate) struct Permit {
    inner: Weak<Mutex<Inner>>,
    limits: Limits,
}

/// A place in the queue; leaving it is dropping it.
pub(crate) struct Waiting {
    place: Place,
    granted: oneshot::Receiver<Permit>,
    inner: Arc<Mutex<Inner>>,
}

/// The answer to a wish to run.
pub(crate) enum Entry {
    Granted(Permit),
    Queued(Waiting),
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        let inner = Inner {
            queue: Queue::new(),
            running: 0,
            workers: limits.workers_min,
            queued_max: 0,
            last_grant: Instant::now(),
            last_full: Instant::now(),
            grower: false,
        };
        Self { limits, inner: Arc::new(Mutex::new(inner)) }
    }

    /// Asks for a permit.
    ///
    /// # Errors
    /// [`Full`] at once when the queue has no place left.
    pub(crate) fn enter(&self, priority: Priority) -> Result<Entry, Full> {
        let mut inner = self.inner.lock();
        if inner.queue.is_empty() && inner.running < inner.workers {
            inner.running += 1;
            inner.last_grant = Instant::now();
            return Ok(Entry::Granted(self.permit()));
        }
        if inner.queue.len() >= self.limits.queue {
            return Err(Full { depth: inner.queue.len() });
        }
        let (grant, granted) = oneshot::channel();
        let place = inner.queue.push(priority, grant);
        inner.queued_max = inner.queued_max.max(inner.queue.len());
        if !inner.grower && self.limits.workers_max > self.limits.workers_min {
            inner.grower = true;
            tokio::spawn(grow(self.clone()));
        }
        Ok(Entry::Queued(Waiting { place, granted, inner: Arc::clone(&self.inner) }))
    }

    pub(crate) fn view(&self) -> View {
        let inner = self.inner.lock();
        View { running: inner.running, queued: inner.queue.len(), queued_max: inner.queued_max, workers: inner.workers }
    }

    fn permit(&self) -> Permit {
        Permit { inner: Arc::downgrade(&self.inner), limits: self.limits }
    }
}

impl Waiting {
    /// Waits for the grant. `None` only when the broker is gone.
    pub(crate) async fn granted(&mut self) -> Option<Permit> {
        (&mut self.granted).await.ok()
    }

    /// Counts how many go first, for as long as anybody asks.
    pub(crate) fn counter(&self) -> impl Fn() -> usize + Send + use<> {
        let (place, inner) = (self.place, Arc::clone(&self.inner));
        move || inner.lock().queue.ahead(place)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // A permit that was sent and never received returns by its own drop, with the channel's.
        self.inner.lock().queue.remove(self.place);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(shared) = self.inner.upgrade() else { return };
        let mut inner = shared.lock();
        inner.running -= 1;
        if inner.running + 1 >= inner.workers {
            inner.last_full = Instant::now();
        } else if inner.workers > self.limits.workers_min && inner.last_full.elapsed() > SHRINK_AFTER {
            inner.workers -= 1;
            inner.last_full = Instant::now();
        }
        let refused = hand_out(&mut inner, &shared, self.limits);
        drop(inner);
        drop(refused);
    }
}

/// Grants as many as there are free places. Returns the permits that nobody took, to be dropped outside the lock.
fn hand_out(inner: &mut Inner, shared: &Arc<Mutex<Inner>>, limits: Limits) -> Vec<Permit> {
    let mut refused = Vec::new();
    while inner.running < inner.workers
        && let Some(grant) = inner.queue.pop()
    {
        inner.running += 1;
        inner.last_grant = Instant::now();
        if let Err(permit) = grant.send(Permit { inner: Arc::downgrade(shared), limits }) {
            // Whoever waited has just left. Its place is counted until the permit is dropped, outside the lock.
            refused.push(permit);
        }
    }
    refused
}

/// Adds workers while somebody waits and nothing moves; ends when nobody waits.
async fn grow(admission: Admission) {
    loop {
        tokio::time::sleep(GROW_AFTER).await;
        let mut inner = admission.inner.lock();
        if inner.queue.is_empty() {
            inner.grower = false;
            return;
        }
        if inner.workers < admission.limits.workers_max && inner.last_grant.elapsed() >= GROW_AFTER {
            inner.workers += 1;
            inner.last_full = Instant::now();
            let refused = hand_out(&mut inner, &admission.inner, admission.limits);
            drop(inner);
            drop(refused);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(workers_min: usize, workers_max: usize, queue: usize) -> Admission {
        Admission::new(Limits { workers_min, workers_max, queue })
    }

    fn queued(entry: Result<Entry, Full>) -> Waiting {
        match entry {
            Ok(Entry::Queued(waiting)) => waiting,
            Ok(Entry::Granted(_)) => panic!("granted at once"),
            Err(full) => panic!("{full:?}"),
        }
    }

    fn granted(entry: Result<Entry, Full>) -> Permit {
        match entry {
            Ok(Entry::Granted(permit)) => permit,
            _ => panic!("not granted at once"),
        }
    }

    #[tokio::test]
    async fn a_full_queue_is_an_error_at_once_with_its_depth() {
        let admission = admission(1, 1, 2);
        let _running = granted(admission.enter(Priority::Normal));
        let _first = queued(admission.enter(Priority::Normal));
        let _second = queued(admission.enter(Priority::Normal));
        assert_eq!(admission.enter(Priority::High).err(), Some(Full { depth: 2 }));
    }

    #[tokio::test]
    async fn a_permit_goes_to_the_next_and_survives_those_who_leave() {
        let admission = admission(1, 1, 10);
        let running = granted(admission.enter(Priority::Normal));
        let leaves = queued(admission.enter(Priority::Normal));
        let mut stays = queued(admission.enter(Priority::Normal));
        assert_eq!(stays.counter()(), 1);
        drop(leaves);
        assert_eq!(stays.counter()(), 0);
        drop(running);
        let permit = stays.granted().await;
        assert!(permit.is_some());
        drop(permit);
        assert_eq!(admission.view().running, 0);
    }

    #[tokio::test]
    async fn a_grant_to_somebody_who_has_just_left_is_not_lost() {
        let admission = admission(1, 1, 10);
        let running = granted(admission.enter(Priority::Normal));
        let leaves = queued(admission.enter(Priority::Normal));
        drop(running);
        assert_eq!(admission.view().running, 1, "granted, and not yet received");
        drop(leaves);
        assert_eq!(admission.view().running, 0);
        granted(admission.enter(Priority::Normal));
    }

    #[tokio::test]
    async fn the_pool_grows_while_nothing_moves() {
        let admission = admission(1, 3, 10);
        let _long = granted(admission.enter(Priority::Normal));
        let mut second = queued(admission.enter(Priority::Normal));
        let mut third = queued(admission.enter(Priority::Normal));
        let mut fourth = queued(admission.enter(Priority::Normal));
        let _second = second.granted().await;
        let _third = third.granted().await;
        let none = tokio::time::timeout(Duration::from_millis(100), fourth.granted()).await;
        assert!(none.is_err(), "three workers at most");
        assert_eq!(admission.view().workers, 3);
    }
}
