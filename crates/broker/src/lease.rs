//! Somebody outside wants the file for himself.
//!
//! The lease is the database's file lock, which the asker takes himself: he has his ticket in its line before he says so
//! here, so nobody can come between our giving the lock up and his being granted, and we queue up behind him. What is said
//! here only hurries: a broker that is never asked notices the ticket at its next look.

use std::{sync::Arc, time::Duration};

use dbmux_engine::{LeaseAsk, LeaseAsks, LeaseEvent, LeaseEvents, ServiceError};
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

/// Makes way, and says for whom the asker waits, until the file is released.
pub(crate) fn serve(core: &Arc<Core>, asks: LeaseAsks) -> LeaseEvents {
    let (events, heard) = mpsc::channel(1);
    let core = Arc::clone(core);
    tokio::spawn(async move {
        let ended = core.ended.clone();
        tokio::select! {
            () = answer(&core, asks, &events) => {}
            () = events.closed() => {}
            () = ended.cancelled() => {}
        }
        // Made way, or not wanted any more.
        core.look_now.notify_one();
    });
    futures::stream::unfold(heard, |mut heard| async move { Some((heard.recv().await?, heard)) }).boxed()
}

/// Ends when the asker has what he wants, or goes.
async fn answer(core: &Arc<Core>, mut asks: LeaseAsks, events: &Events) {
    let Some(ask) = asks.next().await else { return };
    if ask.copies {
        return hold_still(core, &ask, asks, events).await;
    }
    // The copy stands in for the file as long as this is asked for, and then as long as the file is away.
    let _asked = (ask.reads() == LeaseReads::Snapshot).then(|| Asked::new(&core.file));
    if !ask.in_line {
        prepare(core, &ask, events).await;
        while let Some(ask) = asks.next().await {
            if ask.in_line {
                break;
            }
        }
    }
    make_way(core, events).await;
}

/// Nobody writes until the asker ends the call: he copies the file.
async fn hold_still(core: &Arc<Core>, ask: &LeaseAsk, mut asks: LeaseAsks, events: &Events) {
    let patience = ask.wait_ms.map_or(core.options.drain, Duration::from_millis);
    let holding = meanwhile(core, File::hold_still(core, patience), events).await;
    let mut event = LeaseEvent::default();
    let still = match holding {
        Ok((as_of, still)) => {
            event.set_state(LeaseState::Ready);
            event.as_of = errors::rfc3339(as_of);
            Some(still)
        }
        Err(why) => {
            event.holder = core.file.holder().or_else(|| core.longest_in_file());
            event.notices.push(why);
            event.set_state(LeaseState::Released);
            None
        }
    };
    let _ = events.send(Ok(event)).await;
    if let Some(_still) = still {
        while asks.next().await.is_some() {}
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

async fn make_way(core: &Core, events: &Events) {
    let mut changed = core.file.changes();
    core.look_now.notify_one();
    while core.file.is_locked() {
        let mut event = LeaseEvent::default();
        let keeping = core.all_sessions().iter().filter(|session| session.keeps_file_since().is_some()).count();
        event.set_state(LeaseState::Draining);
        event.holder = core.longest_in_file();
        event.ahead = u32::try_from(keeping).unwrap_or(u32::MAX);
        if events.send(Ok(event)).await.is_err() {
            return;
        }
        let _ = tokio::time::timeout(INTERVAL, changed.next()).await;
    }
    let mut event = LeaseEvent::default();
    event.set_state(LeaseState::Released);
    let _ = events.send(Ok(event)).await;
}
