//! A transaction that is rolled back unless it is committed.

use crate::{Answer, ClientError, Session, Statement};

/// An open transaction of a session. Dropped without [`Transaction::commit`], it is rolled back.
pub struct Transaction<'a> {
    session: &'a Session,
    ended: bool,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(session: &'a Session) -> Self {
        Self { session, ended: false }
    }

    /// Runs a statement in the transaction.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn run(&self, statement: impl Into<Statement>) -> Result<Answer, ClientError> {
        self.session.run(statement).await
    }

    /// Runs a statement to its end. Answers with the number of rows changed.
    ///
    /// # Errors
    /// As [`Session::execute`].
    pub async fn execute(&self, statement: impl Into<Statement>) -> Result<u64, ClientError> {
        self.session.execute(statement).await
    }

    /// Makes the changes last: they are in the file, and synced, when this returns.
    ///
    /// # Errors
    /// A conflict: redo the transaction. [`ClientError::OutcomeUnknown`] when the broker went away in between.
    pub async fn commit(mut self) -> Result<(), ClientError> {
        self.ended = true;
        self.session.execute("COMMIT").await.map(drop)
    }

    /// Takes the changes back.
    ///
    /// # Errors
    /// When the broker cannot be told; it then rolls back by itself.
    pub async fn rollback(mut self) -> Result<(), ClientError> {
        self.ended = true;
        self.session.execute("ROLLBACK").await.map(drop)
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.session.abandon();
        }
    }
}
