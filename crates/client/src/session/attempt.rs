//! One statement on its way, and what may be done when it gets lost.
//!
//! Nothing is ever sent twice that may have happened. A statement that was provably not sent, or was refused before it
//! ran, is sent again within its time. One that was lost on its way is sent again once, within its time, only outside of
//! a transaction, only if the caller has seen no row of it, and only as a *read*: the broker then refuses it if it would
//! write, and the outcome is reported as unknown.

use std::{sync::Arc, time::Duration};

use arrow::datatypes::SchemaRef;
use arrow_flight::{
    decode::{DecodedPayload, FlightDataDecoder},
    error::FlightError,
};
use dbmux_proto::{AnswerHead, ErrorCode, StatementKind};
use futures::{StreamExt, TryStreamExt};
use prost::Message;

use super::{slot::Slot, state::Transaction};
use crate::{
    ClientError, Statement,
    connect::{self, Deadline, Silence, Trouble, millis, trouble},
    shared::Open,
    statement::{self, Shape},
};

/// Before a statement that was not begun is sent for the third time, and the longest such pause.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// An answer that has begun.
pub(crate) struct Begun {
    pub(crate) decoder: FlightDataDecoder,
    pub(crate) schema: SchemaRef,
    pub(crate) head: AnswerHead,
    pub(crate) open: Open,
}

/// A statement on its way.
pub(crate) struct Attempt {
    pub(crate) slot: Arc<Slot>,
    pub(crate) deadline: Deadline,
    message: dbmux_proto::Statement,
    shape: Shape,
    /// The caller said that it reads: the broker refuses it if it would write.
    declared: bool,
    /// It was lost once, and is sent again.
    again: bool,
    /// Its answer was read to the end. Dropped before, it is given up.
    ended: bool,
}

impl Attempt {
    pub(crate) fn new(slot: &Arc<Slot>, statement: &Statement) -> Result<Self, ClientError> {
        let shape = Shape::of(&statement.sql);
        Ok(Self {
            slot: Arc::clone(slot),
            deadline: Deadline::after(statement.wait.unwrap_or(slot.shared.target.options.wait)),
            message: statement::encode(statement)?,
            shape,
            declared: statement.read_only || slot.shared.target.options.read_only,
            again: false,
            ended: true,
        })
    }

    /// Sends it until its answer begins, or it must not be sent again.
    pub(crate) async fn run(&mut self) -> Result<Begun, ClientError> {
        let mut pause = Duration::ZERO;
        loop {
            self.slot.rolled_back(self.deadline).await?;
            if self.slot.state.lock().take_untold() {
                return Err(self.session_lost());
            }
            let open = self.slot.opened(self.deadline).await?;
            match self.exchange(&open).await {
                Ok(begun) => return Ok(begun),
                Err(trouble) => self.judge(&open, trouble)?,
            }
            // Again and again only where broker after broker leaves.
            tokio::time::sleep(pause.min(self.deadline.left())).await;
            if self.deadline.passed() && !pause.is_zero() {
                return Err(self.slot.shared.target.leaving(&open.link, self.deadline));
            }
            pause = LONGEST_PAUSE.min(pause * 2).max(FIRST_PAUSE);
            // Whatever it waited, it has waited already.
            self.message.wait_ms = Some(millis(self.deadline.left()));
        }
    }

    /// Sends it once, and waits for the begin of its answer: the schema, or the error that it ended with.
    pub(super) async fn exchange(&mut self, open: &Open) -> Result<Begun, Trouble> {
        let before = self.slot.state.lock().sending(self.shape);
        self.ended = false;
        let begun = match connect::work(&open.link, self.deadline, self.begin(open)).await {
            Ok(begun) => begun,
            Err(silence) => return Err(Trouble::Silent(silence)),
        };
        let mut state = self.slot.state.lock();
        let failed = match &begun {
            Ok(_) => {
                state.answered(self.shape);
                return begun;
            }
            Err(Trouble::Broker(detail)) => detail.code(),
            // Never sent: it has done nothing.
            Err(Trouble::NotSent) => ErrorCode::Reconnect,
            Err(_) => return begun,
        };
        state.failed(self.shape, before, failed);
        drop(state);
        self.ended = true;
        begun
    }

    async fn begin(&self, open: &Open) -> Result<Begun, Trouble> {
        let stream = open.link.run(&open.hello.session, &self.message).await?;
        let mut decoder = FlightDataDecoder::new(stream.map_err(FlightError::from));
        while let Some(message) = decoder.next().await {
            let message = message.map_err(flight_trouble)?;
            if let DecodedPayload::Schema(schema) = message.payload {
                let head = AnswerHead::decode(message.inner.app_metadata)
                    .map_err(|error| Trouble::Undecodable(error.to_string()))?;
                return Ok(Begun { decoder, schema, head, open: open.clone() });
            }
        }
        Err(Trouble::Lost)
    }

    /// What a statement without an answer comes to: an error, or another try.
    fn judge(&mut self, open: &Open, trouble: Trouble) -> Result<(), ClientError> {
        match trouble {
            Trouble::Broker(detail) if matches!(detail.code(), ErrorCode::Reconnect | ErrorCode::SessionLost) => {
                self.reopen(open)
            }
            Trouble::Broker(detail) if self.again && !self.declared && detail.code() == ErrorCode::ReadOnly => {
                Err(self.outcome_unknown())
            }
            Trouble::Broker(detail) => Err(ClientError::Broker(detail)),
            Trouble::NotSent => self.reopen(open),
            Trouble::Lost => self.lost(open, self.reads(), true),
            Trouble::Silent(silence) if self.reads() => Err(self.silent(silence)),
            Trouble::Silent(silence) => Err(self.silent_unknown(silence)),
            Trouble::Undecodable(text) if self.reads() => Err(ClientError::Decode(text)),
            Trouble::Undecodable(text) => {
                tracing::warn!(%text, "the answer to a write could not be understood");
                Err(self.outcome_unknown())
            }
        }
    }

    /// Nothing lasting comes of it, as far as can be told before it is answered.
    pub(crate) fn reads(&self) -> bool {
        self.declared || self.shape == Shape::Read
    }

    /// The same, now that the broker has said what it is.
    pub(crate) fn has_read(&self, kind: StatementKind) -> bool {
        self.declared || (self.shape == Shape::Read && kind == StatementKind::Read)
    }

    /// The broker has not begun it: another session will do, where nothing is lost with this one.
    fn reopen(&self, open: &Open) -> Result<(), ClientError> {
        self.slot.forget(open);
        let mut state = self.slot.state.lock();
        let plain = state.is_plain();
        state.lose(true);
        if plain { Ok(()) } else { Err(self.session_lost()) }
    }

    /// The connection was lost under it. It may be sent again if it only read, and nobody has seen a row of it.
    pub(crate) fn lost(&mut self, open: &Open, reads: bool, unseen: bool) -> Result<(), ClientError> {
        self.slot.forget(open);
        let mut state = self.slot.state.lock();
        let (plain, transaction) = (state.is_plain(), state.transaction);
        self.ended = true;
        // What a transaction did is gone with it, whatever this statement was.
        let nothing_lasting = reads || self.shape == Shape::Rollback || transaction == Transaction::Open;
        state.lose(nothing_lasting);
        drop(state);
        if !nothing_lasting {
            return Err(self.outcome_unknown());
        }
        if !plain {
            return Err(self.session_lost());
        }
        if !reads || !unseen || self.again || self.deadline.passed() {
            return Err(self.answer_lost());
        }
        self.again = true;
        self.message.read_only = true;
        Ok(())
    }

    /// The answer ended with the broker's own word.
    pub(crate) fn failed(&mut self, code: ErrorCode) {
        let mut state = self.slot.state.lock();
        let before = state.transaction;
        state.failed(self.shape, before, code);
        drop(state);
        self.has_ended();
    }

    /// The answer was read to its end.
    pub(crate) fn has_ended(&mut self) {
        self.ended = true;
    }

    /// The broker does not answer: nothing has happened.
    pub(crate) fn silent(&self, silence: Silence) -> ClientError {
        self.slot.shared.target.silent(silence)
    }

    /// The broker does not answer, and may have done it.
    pub(crate) fn silent_unknown(&self, silence: Silence) -> ClientError {
        let holder = self.silent(silence).into_holder();
        ClientError::OutcomeUnknown { database: self.database(), holder }
    }

    /// What a write comes to is not known.
    pub(crate) fn outcome_unknown(&self) -> ClientError {
        ClientError::OutcomeUnknown { database: self.database(), holder: None }
    }

    pub(crate) fn answer_lost(&self) -> ClientError {
        ClientError::AnswerLost { database: self.database() }
    }

    fn session_lost(&self) -> ClientError {
        ClientError::SessionLost { database: self.database() }
    }

    fn database(&self) -> std::path::PathBuf {
        self.slot.shared.target.database.clone()
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.ended {
            self.slot.state.lock().give_up();
        }
    }
}

pub(crate) fn flight_trouble(error: FlightError) -> Trouble {
    match error {
        FlightError::Tonic(status) => trouble(*status),
        other => Trouble::Undecodable(other.to_string()),
    }
}
