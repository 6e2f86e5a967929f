//! A file that its broker keeps still for somebody who copies it.

use std::{path::Path, time::Instant};

use dbmux_proto::{LeaseAsk, LeaseEvent, LeaseReads, LeaseState};
use futures::channel::mpsc;
use tonic::Streaming;

use super::{LeaseProgress, LeaseStage};
use crate::{
    ClientError, blocking,
    connect::{Deadline, Target, millis, trouble},
};

/// A database file to which nobody writes, and in which all is that was committed before: a copy of it is the database.
/// Reads go on beside it. It ends when this is dropped.
#[must_use = "others may write again when this is dropped"]
pub struct Still {
    as_of: String,
    target: Target,
    /// Its end is the end of the call.
    asks: mpsc::UnboundedSender<LeaseAsk>,
    events: Streaming<LeaseEvent>,
    /// Keeps the broker.
    session: blocking::Session,
}

impl Still {
    /// Asks the broker, which is started where there is none. Waits as long as the client's options say.
    ///
    /// # Errors
    /// When no broker can be reached; [`ClientError::Locked`] where somebody else has the file, or writes for too long.
    pub fn begin(client: &blocking::Client, observe: &mut dyn FnMut(&LeaseProgress)) -> Result<Self, ClientError> {
        let (began, target) = (Instant::now(), client.target());
        let session = client.session()?;
        let ask = LeaseAsk {
            reads: LeaseReads::Wait.into(),
            command: target.options.command.clone().unwrap_or_default(),
            wait_ms: Some(millis(target.options.wait.saturating_sub(began.elapsed()))),
            copies: true,
            ..LeaseAsk::default()
        };
        let (asks, stream) = mpsc::unbounded();
        // It has room, and its other end.
        let _ = asks.unbounded_send(ask);
        let asked = async {
            let deadline = Deadline::after(target.options.wait);
            let link = target.connect(deadline).await?;
            let link = link.ok_or_else(|| ClientError::NoBroker { database: target.database.clone() })?;
            let mut control = link.control();
            link.ask(deadline, control.lease(stream)).await.map_err(|trouble| target.error(trouble))
        };
        let mut events = blocking::wait(asked)?;
        loop {
            let lost = || ClientError::SessionLost { database: target.database.clone() };
            let event = next(&mut events, target)?.ok_or_else(lost)?;
            match event.state() {
                LeaseState::Ready => {
                    let (as_of, target) = (event.as_of, target.clone());
                    return Ok(Self { as_of, target, asks, events, session });
                }
                _ => observe(&progress(&target.database, event, began)),
            }
        }
    }

    /// Lets others write again, and answers whether none of them has written before that.
    ///
    /// # Errors
    /// When the broker has let others write, because they had waited for too long, or is gone: a copy that was made
    /// meanwhile may be no database.
    pub fn end(self) -> Result<(), ClientError> {
        let Self { asks, mut events, target, session: _session, .. } = self;
        drop(asks);
        match next(&mut events, &target)? {
            None => Ok(()),
            Some(_) => Err(ClientError::SessionLost { database: target.database }),
        }
    }

    /// The engine of the database, as its broker calls it.
    pub fn engine(&self) -> String {
        self.session.hello().engine.clone()
    }

    /// As of when the file is true: RFC 3339.
    pub fn as_of(&self) -> &str {
        &self.as_of
    }
}

fn next(events: &mut Streaming<LeaseEvent>, target: &Target) -> Result<Option<LeaseEvent>, ClientError> {
    blocking::wait(async { events.message().await.map_err(|status| target.error(trouble(status))) })
}

fn progress(database: &Path, event: LeaseEvent, began: Instant) -> LeaseProgress {
    let (stage, ahead) = (LeaseStage::Queued, usize::try_from(event.ahead).unwrap_or(usize::MAX));
    LeaseProgress { database: database.to_owned(), stage, holder: event.holder, ahead, waited: began.elapsed() }
}
