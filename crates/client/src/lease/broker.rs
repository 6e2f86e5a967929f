//! What is said to a database's broker, and heard from it.

use std::{path::Path, sync::mpsc::Sender, time::Duration};

use dbmux_proto::{LeaseAsk, LeaseReads};
use futures::channel::mpsc;
use tokio::task::AbortHandle;

use super::{
    Reads,
    line::{Ask, News},
};
use crate::{
    ClientOptions, blocking,
    connect::{Deadline, Target, millis},
};

/// A broker that has not answered by then is looked at: one that is stopped is not waited for.
const ANSWER: Duration = Duration::from_millis(250);

/// A broker that was told; it is told that nobody wants the file any more when this is dropped.
pub(super) struct Asked {
    asks: mpsc::UnboundedSender<LeaseAsk>,
    ask: LeaseAsk,
    task: AbortHandle,
}

impl Asked {
    /// The ticket is in the line.
    pub(super) fn in_line(&self) {
        // It may have gone: then there is nobody to tell.
        let _ = self.asks.unbounded_send(LeaseAsk { in_line: true, ..self.ask.clone() });
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a broker is told.
pub(super) struct Wish {
    pub(super) reads: Reads,
    /// The ticket is in the line.
    pub(super) in_line: bool,
    /// `None`: no end.
    pub(super) patience: Option<Duration>,
}

/// Asks the broker that runs; `None`: there is none. It starts none.
pub(super) fn ask(ask: &Ask, database: &Path, wish: &Wish, tell: &Sender<News>) -> Option<Asked> {
    let options = ClientOptions { runtime_directory: ask.runtime_directory.clone(), ..ClientOptions::default() };
    // A place that cannot be used has no broker for us; the lock knows better.
    let target = Target::new(database, options).ok().filter(|target| target.socket.exists())?;
    let said = LeaseAsk {
        reads: LeaseReads::from(wish.reads).into(),
        command: ask.command.clone().unwrap_or_default(),
        wait_ms: wish.patience.map(millis),
        priority: dbmux_proto::Priority::from(ask.priority).into(),
        in_line: wish.in_line,
        copies: false,
    };
    let (asks, stream) = mpsc::unbounded();
    // It has room, and its other end.
    let _ = asks.unbounded_send(said.clone());
    let tell = tell.clone();
    let task = blocking::runtime().ok()?.spawn(async move {
        let left = talk(&target, stream, &tell).await.err();
        if let Some(reason) = &left {
            tracing::debug!(database = %target.database.display(), reason, "the broker was not told");
        }
        let _ = tell.send(News::BrokerLeft(left));
    });
    Some(Asked { asks, ask: said, task: task.abort_handle() })
}

async fn talk(target: &Target, asks: mpsc::UnboundedReceiver<LeaseAsk>, tell: &Sender<News>) -> Result<(), String> {
    let deadline = Deadline::after(ANSWER);
    let link = target.connect(deadline).await.map_err(|error| error.to_string())?;
    // It ended without taking its socket away.
    let Some(link) = link else { return Ok(()) };
    let mut control = link.control();
    let asking = link.ask(deadline, control.lease(asks));
    let mut events = asking.await.map_err(|trouble| target.error(trouble).to_string())?;
    while let Some(event) = events.message().await.map_err(|status| status.to_string())? {
        if tell.send(News::Broker(event)).is_err() {
            break;
        }
    }
    Ok(())
}
