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

use crate::core::Core;

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
async fn answer(core: &Core, mut asks: LeaseAsks, events: &Events) {
    let Some(ask) = asks.next().await else { return };
    if !ask.in_line {
        prepare(&ask, events).await;
        while let Some(ask) = asks.next().await {
            if ask.in_line {
                break;
            }
        }
    }
    make_way(core, events).await;
}

/// What must be done while the file is still ours: so far nothing, for reads wait.
async fn prepare(_ask: &LeaseAsk, events: &Events) {
    let mut event = LeaseEvent::default();
    event.set_state(LeaseState::Ready);
    event.set_reads(LeaseReads::Wait);
    // One who has gone is noticed by whoever waits for that.
    let _ = events.send(Ok(event)).await;
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
