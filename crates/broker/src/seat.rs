//! The writer's seat, of an engine in which one session writes at a time.
//!
//! Whoever writes sits in it until its transaction ends: so sessions stand in one line, are told for whom they wait, and
//! none is refused because another one writes. It is fair.
//!
//! What always holds: nobody waits for the seat with a place among those that run, and nobody who sits waits for the file;
//! only a transaction, which passes every other queue, waits for the seat with the file in hand.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use dbmux_engine::Holder;
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use crate::session::BrokerSession;

/// The one seat of a broker.
#[derive(Default)]
pub(crate) struct WritersSeat {
    seat: Arc<tokio::sync::Mutex<()>>,
    sitter: Arc<Mutex<Option<Sitter>>>,
    waiting: AtomicUsize,
}

struct Sitter {
    session: Weak<BrokerSession>,
    since: Instant,
}

/// The right to write, given back when it is dropped.
pub(crate) struct Seat {
    sitter: Arc<Mutex<Option<Sitter>>>,
    _seat: OwnedMutexGuard<()>,
}

impl WritersSeat {
    /// Waits for the seat.
    pub(crate) async fn take(&self, session: &Arc<BrokerSession>) -> Seat {
        let waits = Waits::new(&self.waiting);
        let seat = Arc::clone(&self.seat).lock_owned().await;
        drop(waits);
        *self.sitter.lock() = Some(Sitter { session: Arc::downgrade(session), since: Instant::now() });
        Seat { sitter: Arc::clone(&self.sitter), _seat: seat }
    }

    /// The same on a thread that may block, for those who write together.
    pub(crate) fn take_blocking(&self) -> Seat {
        let _waits = Waits::new(&self.waiting);
        Seat { _seat: Arc::clone(&self.seat).blocking_lock_owned(), sitter: Arc::clone(&self.sitter) }
    }

    /// Somebody waits for it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Who sits in it; `None`: nobody, or a lane.
    pub(crate) fn holder(&self) -> Option<Holder> {
        let (session, since) = {
            let sitter = self.sitter.lock();
            let sitter = sitter.as_ref()?;
            (sitter.session.upgrade()?, sitter.since)
        };
        Some(session.as_holder(since))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        *self.sitter.lock() = None;
    }
}

/// Counted while it lives: a wait may be given up at any moment.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
