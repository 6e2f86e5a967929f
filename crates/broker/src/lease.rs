//! Somebody outside wants the file for himself.
//!
//! The lease is the database's file lock, which the asker takes himself: he has his ticket in its line before he says so
//! here, so nobody can come between our giving the lock up and his being granted, and we queue up behind him. What is said
//! here only hurries: a broker that is never asked notices the ticket at its next look.
//!
//! One who is stopped, or slow, with what he was given keeps others from writing only until they have waited for as long as
//! they must.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dbmux_engine::{LeaseAsk, LeaseAsks, LeaseEvent, LeaseEvents, Peer, ServiceError};
use dbmux_proto::{LeaseReads, LeaseState};
use futures::StreamExt;
use tokio::sync::mpsc;

use crate::{
    core::Core,
    errors,
    file::{Asked, File},
};

/// How often the asker hears of what does not change.
const INTERVAL: Duration = Duration::from_millis(250);

type Events = mpsc::Sender<Result<LeaseEvent, ServiceError>>;

/// Makes way, and says for whom the asker waits, until he ends the call.
pub(crate) fn serve(core: &Arc<Core>, asks: LeaseAsks, peer: Peer) -> LeaseEvents {
    let (events, heard) = mpsc::channel(1);
    let core = Arc::clone(core);
    tokio::spawn(async move {
        let ended = core.ended.clone();
        tokio::select! {
            () = answer(&core, asks, peer, &events) => {}
            () = events.closed() => {}
            () = ended.cancelled() => {}
        }
        // Made way, or not wanted any more.
        core.look_now.notify_one();
    });
    futures::stream::unfold(heard, |mut heard| async move { Some((heard.recv().await?, heard)) }).boxed()
}

/// Ends when the asker has what he wants, or goes.
async fn answer(core: &Arc<Core>, mut asks: LeaseAsks, peer: Peer, events: &Events) {
    let Some(ask) = asks.next().await else { return };
    if ask.copies {
        return hold_still(core, &ask, asks, peer, events).await;
    }
    // The copy stands in for the file as long as this is asked for, and then as long as the file is away.
    let wants_copy = ask.reads() == LeaseReads::Snapshot;
    let _asked = wants_copy.then(|| Asked::new(&core.file, peer, &ask.command, true));
    if !ask.in_line {
        prepare(core, &ask, events).await;
        if !stands_in_line(core, asks).await {
            return;
        }
    }
    make_way(core, events).await;
}

/// Waits until the asker has his ticket. One who does not come while others wait gets no more than the limit.
async fn stands_in_line(core: &Core, mut asks: LeaseAsks) -> bool {
    let mut limit = Limit::default();
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            ask = asks.next() => match ask {
                Some(ask) if ask.in_line => return true,
                Some(_) => {}
                None => return false,
            },
            _ = interval.tick() => if limit.is_over(core) {
                tracing::info!("one who asked for the file does not come for it");
                return false;
            },
        }
    }
}

/// Nobody writes until the asker ends the call: he copies the file.
async fn hold_still(core: &Arc<Core>, ask: &LeaseAsk, mut asks: LeaseAsks, peer: Peer, events: &Events) {
    let patience = ask.wait_ms.map_or(core.options.drain, Duration::from_millis);
    let asked = Asked::new(&core.file, peer, &ask.command, false);
    let (as_of, still) = match meanwhile(core, File::hold_still(core, patience, peer.pid), events).await {
        Ok(held) => held,
        Err(why) => return drop(events.send(Err(why)).await),
    };
    let mut event = LeaseEvent { as_of: errors::rfc3339(as_of), ..LeaseEvent::default() };
    event.set_state(LeaseState::Ready);
    let _ = events.send(Ok(event)).await;
    let mut limit = Limit::default();
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            ask = asks.next() => if ask.is_none() {
                break;
            },
            _ = interval.tick() => if limit.is_over(core) {
                let _ = events.send(Err(errors::overdue("copy", core.options.drain))).await;
                break;
            },
        }
    }
    drop((still, asked));
}

/// How long others have waited for what an asker was given.
#[derive(Default)]
struct Limit(Option<Instant>);

impl Limit {
    fn is_over(&mut self, core: &Core) -> bool {
        self.0 = core.file.is_wanted_by_others().then(|| self.0.unwrap_or_else(Instant::now));
        self.0.is_some_and(|since| since.elapsed() >= core.options.drain)
    }
}

/// What must be done while the file is still ours: the copy that answers meanwhile.
async fn prepare(core: &Arc<Core>, ask: &LeaseAsk, events: &Events) {
    let mut event = LeaseEvent::default();
    event.set_state(LeaseState::Ready);
    event.set_reads(LeaseReads::Wait);
    if ask.reads() == LeaseReads::Snapshot {
        let patience = ask.wait_ms.map_or(core.options.drain, Duration::from_millis);
        match meanwhile(core, File::make_snapshot(core, patience), events).await {
            Ok(as_of) => {
                event.set_reads(LeaseReads::Snapshot);
                event.as_of = errors::rfc3339(as_of);
            }
            Err(why) => event.notices.push(format!("reads wait, for there is no snapshot: {why}")),
        }
    }
    // One who has gone is noticed by whoever waits for that.
    let _ = events.send(Ok(event)).await;
}

/// Says for whom the asker waits until this is done.
async fn meanwhile<T>(core: &Arc<Core>, work: impl Future<Output = T>, events: &Events) -> T {
    tokio::pin!(work);
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = interval.tick() => {
                let mut event = LeaseEvent::default();
                event.set_state(LeaseState::Queued);
                event.holder = core.file.holder().or_else(|| core.longest_in_file());
                let _ = events.try_send(Ok(event));
            }
        }
    }
}

/// Makes way until the asker ends the call, for he has the file: another one may go first, and then we.
async fn make_way(core: &Core, events: &Events) {
    let mut changed = core.file.changes();
    loop {
        let event = if core.file.is_locked() {
            core.look_now.notify_one();
            draining(core)
        } else {
            let mut event = LeaseEvent::default();
            event.set_state(LeaseState::Released);
            event
        };
        if events.send(Ok(event)).await.is_err() {
            return;
        }
        let _ = tokio::time::timeout(INTERVAL, changed.next()).await;
    }
}

fn draining(core: &Core) -> LeaseEvent {
    let mut event = LeaseEvent::default();
    let keeping = core.all_sessions().iter().filter(|session| session.keeps_file_since().is_some()).count();
    event.set_state(LeaseState::Draining);
    event.holder = core.longest_in_file();
    event.ahead = u32::try_from(keeping).unwrap_or(u32::MAX);
    event
}
