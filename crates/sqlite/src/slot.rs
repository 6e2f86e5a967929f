//! Where a session's connection is while nothing of it runs, and what is taken along when it is closed.
//!
//! What always holds: a connection is either here, or taken by the statement that runs; one that is here and has no
//! transaction open may be closed by the engine at any time, when the file is released or something else answers. What the
//! session has in memory (temporary tables, databases, settings) is carried over to its next connection.

use std::sync::Arc;

use dbmux_engine::EngineError;
use parking_lot::Mutex;
use rusqlite::InterruptHandle;

use crate::{
    connection::Connection,
    ffi::Failure,
    luggage::Luggage,
    shared::{Shared, internal},
};

/// One session's.
pub(crate) struct Slot {
    pub(crate) read_only: bool,
    state: Mutex<State>,
    interrupt: Mutex<Option<InterruptHandle>>,
}

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    /// A statement runs.
    taken: bool,
    /// It has temporary objects, or databases of its own.
    carries: bool,
    luggage: Option<Luggage>,
    /// The settings that differ, as they were written.
    settings: Vec<(String, String)>,
}

/// What [`Slot::close`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// It has none any more.
    Yes,
    /// It is at work, or has a transaction open.
    Busy,
}

impl Slot {
    pub(crate) fn new(read_only: bool) -> Arc<Self> {
        Arc::new(Self { read_only, state: Mutex::default(), interrupt: Mutex::default() })
    }

    /// The session's connection, to what answers now, or to what its transaction began with.
    pub(crate) fn take(&self, shared: &Shared) -> Result<Connection, EngineError> {
        let mut state = self.state.lock();
        if let Some(connection) = state.connection.take() {
            if shared.is_present(&connection.place) || !connection.handle.is_autocommit() {
                state.taken = true;
                return Ok(connection);
            }
            state.pack(connection)?;
        }
        let counted = shared.open.enter();
        let place = shared.place().ok_or_else(|| shared.released())?;
        let failed = |failure: Failure| crate::errors::of(&failure, &place.path);
        let connection = Connection::open(&place, &shared.options, counted, self.read_only, false).map_err(failed)?;
        for (_, setting) in &state.settings {
            connection.run(setting).map_err(failed)?;
        }
        if let Some(luggage) = &state.luggage {
            luggage.unpack(&connection).map_err(failed)?;
        }
        connection.guard().map_err(failed)?;
        state.luggage = None;
        *self.interrupt.lock() = Some(connection.interrupt_handle());
        state.taken = true;
        Ok(connection)
    }

    /// Gives it back; it is closed, if something else answers by now.
    pub(crate) fn put(&self, shared: &Shared, connection: Connection) {
        let mut state = self.state.lock();
        state.taken = false;
        if connection.handle.is_autocommit() && !shared.is_present(&connection.place) {
            if let Err(error) = state.pack(connection) {
                tracing::warn!(%error, "what a session had in memory is lost");
            }
            return;
        }
        state.connection = Some(connection);
    }

    /// Closes the connection, if nothing runs there. `stale_only`: if something else answers by now.
    pub(crate) fn close(&self, shared: &Shared, stale_only: bool) -> Result<Closed, EngineError> {
        let mut state = self.state.lock();
        if state.taken {
            return Ok(Closed::Busy);
        }
        let Some(connection) = state.connection.take() else {
            return Ok(Closed::Yes);
        };
        let stays = stale_only && shared.is_present(&connection.place);
        if stays || !connection.handle.is_autocommit() {
            state.connection = Some(connection);
            return Ok(Closed::Busy);
        }
        state.pack(connection)?;
        Ok(Closed::Yes)
    }

    /// Whether a transaction is open.
    pub(crate) fn in_transaction(&self) -> bool {
        self.state.lock().connection.as_ref().is_some_and(|connection| !connection.handle.is_autocommit())
    }

    /// Whether a transaction is open, and not on a copy.
    pub(crate) fn in_transaction_on_file(&self) -> bool {
        let state = self.state.lock();
        let connection = state.connection.as_ref().filter(|connection| !connection.handle.is_autocommit());
        connection.is_some_and(|connection| connection.place.as_of.is_none())
    }

    /// Whether it has anything of its own.
    pub(crate) fn has_state(&self) -> bool {
        let state = self.state.lock();
        state.carries || !state.settings.is_empty()
    }

    /// It has temporary objects, or databases of its own.
    pub(crate) fn carries(&self, carries: bool) {
        self.state.lock().carries = carries;
    }

    /// A setting was changed.
    pub(crate) fn set(&self, name: String, text: String) {
        let mut state = self.state.lock();
        state.settings.retain(|(known, _)| *known != name);
        state.settings.push((name, text));
    }

    /// Interrupts what runs.
    pub(crate) fn interrupt(&self) {
        if let Some(handle) = self.interrupt.lock().as_ref() {
            handle.interrupt();
        }
    }
}

impl State {
    /// Closes a connection, and keeps what it had in memory.
    fn pack(&mut self, connection: Connection) -> Result<(), EngineError> {
        if !self.carries {
            return Ok(());
        }
        match Luggage::pack(&connection) {
            Ok(luggage) => {
                self.luggage = Some(luggage);
                Ok(())
            }
            Err(failure) => {
                let message = format!("what the session has in memory cannot be kept: {}", failure.message);
                self.connection = Some(connection);
                Err(internal(message))
            }
        }
    }
}
