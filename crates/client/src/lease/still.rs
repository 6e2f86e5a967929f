//! A file that its broker keeps still for somebody who copies it.

use std::{path::Path, time::Instant};

use dbmux_proto::{LeaseAsk, LeaseEvent, LeaseReads, LeaseState};
use futures::channel::mpsc;
use tonic::Streaming;

use super::{LeaseProgress, LeaseStage};
use crate::{
    ClientError, blocking,
    connect::{Deadline, millis},
};

/// A database file to which nobody writes, and in which all is that was committed before: a copy of it is the database.
/// Reads go on beside it. It ends when this is dropped.
#[must_use = "others may write again when this is dropped"]
pub struct Still {
    as_of: String,
    /// Its end is the end of the call.
    _asks: mpsc::UnboundedSender<LeaseAsk>,
    _events: Streaming<LeaseEvent>,
    /// Keeps the broker.
    _session: blocking::Session,
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
            command: session.hello().database_path.clone(),
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
            let event = blocking::wait(async { events.message().await.map_err(|_| lost()) })?.ok_or_else(lost)?;
            match event.state() {
                LeaseState::Ready => {
                    return Ok(Self { as_of: event.as_of, _asks: asks, _events: events, _session: session });
                }
                LeaseState::Released => return Err(refused(&target.database, event, began)),
                _ => observe(&progress(&target.database, event, began)),
            }
        }
    }

    /// As of when the file is true: RFC 3339.
    pub fn as_of(&self) -> &str {
        &self.as_of
    }
}

fn progress(database: &Path, event: LeaseEvent, began: Instant) -> LeaseProgress {
    let (stage, ahead) = (LeaseStage::Queued, usize::try_from(event.ahead).unwrap_or(usize::MAX));
    LeaseProgress { database: database.to_owned(), stage, holder: event.holder, ahead, waited: began.elapsed() }
}

fn refused(database: &Path, event: LeaseEvent, began: Instant) -> ClientError {
    tracing::debug!(database = %database.display(), why = ?event.notices, "the file is not kept still");
    let (holder, waited) = (event.holder.map(Box::new), began.elapsed());
    ClientError::Locked { database: database.to_owned(), holder, ahead: 0, waited }
}
