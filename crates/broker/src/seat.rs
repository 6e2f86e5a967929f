//! The writer's seat, of an engine in which one session writes at a time; and the keeper's, of those who rearrange what is
//! there while another one writes.
//!
//! Whoever writes sits in it until its transaction ends: so sessions stand in one line, are told for whom they wait, and
//! none is refused because another one writes. It is fair.
//!
//! What always holds: nobody waits for the seat with a place among those that run, and nobody who sits waits for the file;
//! only a transaction, which passes every other queue, waits for the seat with the file in hand.

use std::{
    sync::{Arc, Weak},
    time::Instant,
};

use dbmux_engine::{Holder, Seats};
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use crate::{
    session::BrokerSession,
    waiters::{Waiter, Waiters},
};

/// The seats of a broker.
#[derive(Default)]
pub(crate) struct AllSeats {
    pub(crate) writer: OneSeat,
    pub(crate) keeper: OneSeat,
}

impl AllSeats {
    /// Those that a statement takes, in the order in which everybody takes them.
    pub(crate) fn of(seats: Seats) -> &'static [fn(&Self) -> &OneSeat] {
        match seats {
            Seats::Writer => &[|seats| &seats.writer],
            Seats::Keeper => &[|seats| &seats.keeper],
            Seats::Both => &[|seats| &seats.keeper, |seats| &seats.writer],
        }
    }
}

/// One of them.
#[derive(Default)]
pub(crate) struct OneSeat {
    seat: Arc<tokio::sync::Mutex<()>>,
    sitter: Arc<Mutex<Option<Sitter>>>,
    waiting: Waiters,
}

struct Sitter {
    session: Weak<BrokerSession>,
    since: Instant,
}

/// The right that goes with a seat, given back when it is dropped.
pub(crate) struct Seat {
    sitter: Arc<Mutex<Option<Sitter>>>,
    _seat: OwnedMutexGuard<()>,
}

impl OneSeat {
    /// Waits for the seat.
    pub(crate) async fn take(&self, session: &Arc<BrokerSession>) -> Seat {
        let seat = Arc::clone(&self.seat).lock_owned().await;
        *self.sitter.lock() = Some(Sitter { session: Arc::downgrade(session), since: Instant::now() });
        Seat { sitter: Arc::clone(&self.sitter), _seat: seat }
    }

    /// The same on a thread that may block, for those who write together.
    pub(crate) fn take_blocking(&self) -> Seat {
        let _waits = self.waiting.join();
        Seat { _seat: Arc::clone(&self.seat).blocking_lock_owned(), sitter: Arc::clone(&self.sitter) }
    }

    /// Joins those who wait for it.
    pub(crate) fn join(&self) -> Waiter {
        self.waiting.join()
    }

    /// Somebody waits for it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiting.len() > 0
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
