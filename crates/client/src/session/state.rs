//! What a session has that would be lost with it, as far as its client can know.
//!
//! A statement's effect is noted as *possible* before it is sent, and as *certain* once it is answered: whoever goes away
//! in between leaves a session of which nothing is claimed that is not known. Only a session that is known to be clean
//! is given to the next caller, and only one that is known to be in a transaction loses nothing lasting with it.

use dbmux_proto::ErrorCode;

use crate::statement::Shape;

/// Whether a transaction is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Transaction {
    #[default]
    None,
    Open,
    /// A statement that begins or ends one was sent, and not answered as it should have been.
    Maybe,
}

/// What would be lost with a session.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct State {
    pub(crate) transaction: Transaction,
    /// It may have temporary objects, settings, prepared statements.
    stateful: bool,
    /// A statement was given up before its end: the broker may still be at it.
    given_up: bool,
    /// The state is lost, and the caller has not been told.
    loss_untold: bool,
}

impl State {
    /// Nothing is lost with the session.
    pub(crate) fn is_plain(self) -> bool {
        self.transaction == Transaction::None && !self.stateful
    }

    /// The session is as a new one.
    pub(crate) fn is_clean(self) -> bool {
        self.is_plain() && !self.given_up && !self.loss_untold
    }

    /// A statement is about to be sent: what it may do counts from now on. Answers with what was before.
    pub(crate) fn sending(&mut self, shape: Shape) -> Transaction {
        let before = self.transaction;
        match shape {
            Shape::Begin if before == Transaction::None => self.transaction = Transaction::Maybe,
            Shape::Commit | Shape::Rollback if before == Transaction::Open => self.transaction = Transaction::Maybe,
            Shape::Anything => {
                self.transaction = Transaction::Maybe;
                self.stateful = true;
            }
            Shape::Stateful => self.stateful = true,
            _ => {}
        }
        before
    }

    /// The answer has begun: the statement did what it says, and those before it have ended.
    pub(crate) fn answered(&mut self, shape: Shape) {
        self.given_up = false;
        match shape {
            Shape::Begin => self.transaction = Transaction::Open,
            Shape::Commit | Shape::Rollback => self.transaction = Transaction::None,
            _ => {}
        }
    }

    /// The broker answered with an error.
    pub(crate) fn failed(&mut self, shape: Shape, before: Transaction, code: ErrorCode) {
        let never_ran = is_before_it_ran(code);
        self.given_up &= never_ran;
        match shape {
            // "No transaction is active."
            Shape::Rollback if code == ErrorCode::Sql => self.transaction = Transaction::None,
            // A commit that fails may have ended it.
            Shape::Commit if !never_ran => self.transaction = Transaction::Maybe,
            Shape::Begin | Shape::Commit | Shape::Rollback if never_ran || code == ErrorCode::Sql => {
                self.transaction = before;
            }
            // A statement that fails does not end its transaction; what else happened is not known.
            _ if !never_ran
                && self.transaction == Transaction::Open
                && !matches!(code, ErrorCode::Sql | ErrorCode::TransactionConflict) =>
            {
                self.transaction = Transaction::Maybe;
            }
            _ => {}
        }
    }

    /// A statement was given up before its end.
    pub(crate) fn give_up(&mut self) {
        self.given_up = true;
    }

    /// The session is gone. Whoever is not told of it now is told at the next statement, if something was lost.
    pub(crate) fn lose(&mut self, told: bool) {
        let loss_untold = !told && (self.loss_untold || !self.is_plain());
        *self = Self { loss_untold, ..Self::default() };
    }

    /// Whether the caller must be told of a loss; once.
    pub(crate) fn take_untold(&mut self) -> bool {
        std::mem::take(&mut self.loss_untold)
    }
}

/// The broker says such a thing before it begins a statement.
fn is_before_it_ran(code: ErrorCode) -> bool {
    use ErrorCode::{
        DatabaseLocked, DeadlineExceeded, InvalidArgument, NoSuchDatabase, QueueFull, ReadOnly, Reconnect, Refused,
        SessionBusy, SessionLost,
    };
    matches!(
        code,
        DatabaseLocked
            | DeadlineExceeded
            | InvalidArgument
            | NoSuchDatabase
            | QueueFull
            | ReadOnly
            | Reconnect
            | Refused
            | SessionBusy
            | SessionLost
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_be_clean_is_clean() {
        let mut state = State::default();
        let before = state.sending(Shape::Begin);
        assert!(!state.is_clean(), "a BEGIN on its way may have begun");
        state.failed(Shape::Begin, before, ErrorCode::QueueFull);
        assert!(state.is_clean(), "it never ran");
        state.sending(Shape::Begin);
        state.answered(Shape::Begin);
        assert_eq!(state.transaction, Transaction::Open);
        let before = state.sending(Shape::Commit);
        state.failed(Shape::Commit, before, ErrorCode::SessionBusy);
        assert_eq!(state.transaction, Transaction::Open, "the commit never ran");
        let before = state.sending(Shape::Commit);
        state.failed(Shape::Commit, before, ErrorCode::TransactionConflict);
        assert_eq!(state.transaction, Transaction::Maybe, "a commit that fails may have ended it");
        let before = state.sending(Shape::Rollback);
        state.failed(Shape::Rollback, before, ErrorCode::Sql);
        assert!(state.is_clean(), "there is none to roll back");
    }

    #[test]
    fn a_loss_is_told_once_and_only_where_something_was_lost() {
        let mut state = State::default();
        state.lose(false);
        assert!(!state.take_untold(), "there was nothing to lose");
        state.sending(Shape::Stateful);
        state.lose(false);
        assert!(!state.is_clean() && state.is_plain());
        assert!(state.take_untold() && !state.take_untold());
        state.sending(Shape::Stateful);
        state.lose(true);
        assert!(!state.take_untold(), "it was told");
    }

    #[test]
    fn what_is_given_up_is_over_when_a_later_statement_is_answered() {
        let mut state = State::default();
        state.sending(Shape::Read);
        state.give_up();
        assert!(!state.is_clean());
        state.failed(Shape::Read, Transaction::None, ErrorCode::QueueFull);
        assert!(!state.is_clean(), "that one never had its turn");
        state.answered(Shape::Read);
        assert!(state.is_clean());
    }

    #[test]
    fn an_idle_transaction_that_the_broker_ended_is_no_certain_one() {
        let mut state = State::default();
        state.sending(Shape::Begin);
        state.answered(Shape::Begin);
        state.sending(Shape::Write);
        state.failed(Shape::Write, Transaction::Open, ErrorCode::Sql);
        assert_eq!(state.transaction, Transaction::Open);
        state.failed(Shape::Write, Transaction::Open, ErrorCode::IdleTimeout);
        assert_eq!(state.transaction, Transaction::Maybe);
    }
}
