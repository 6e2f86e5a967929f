//! A transaction that is rolled back unless it is committed.

use crate::{Answer, ClientError, ErrorCode, Session, Statement};

/// An open transaction of a session. Dropped without [`Transaction::commit`], it is rolled back.
///
/// Whatever else the session runs meanwhile is part of it too.
#[derive(Debug)]
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
    /// As [`Session::run`]. A transaction in which a statement failed can only be rolled back.
    pub async fn run(&self, statement: impl Into<Statement>) -> Result<Answer, ClientError> {
        self.session.run(statement).await
    }

    /// Runs a query in the transaction.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub async fn query(&self, statement: impl Into<Statement>) -> Result<Answer, ClientError> {
        self.session.query(statement).await
    }

    /// Runs a statement of the transaction to its end. Answers with the number of rows changed.
    ///
    /// # Errors
    /// As [`Session::execute`].
    pub async fn execute(&self, statement: impl Into<Statement>) -> Result<u64, ClientError> {
        self.session.execute(statement).await
    }

    /// Makes the changes last: they are in the file, and synced, when this returns.
    ///
    /// # Errors
    /// A conflict: redo the transaction. [`ClientError::OutcomeUnknown`] when the broker went away in between. Whatever
    /// else it is, the transaction is rolled back.
    pub async fn commit(mut self) -> Result<(), ClientError> {
        let committed = self.session.execute("COMMIT").await;
        // Where it is not known whether a transaction is left, dropping this rolls it back.
        self.ended = matches!(
            committed,
            Ok(_) | Err(ClientError::OutcomeUnknown { holder: None, .. } | ClientError::SessionLost { .. })
        );
        committed.map(drop)
    }

    /// Takes the changes back.
    ///
    /// # Errors
    /// When the broker cannot be told; it then rolls back by itself. [`ClientError::SessionLost`] when more than the
    /// transaction is lost.
    pub async fn rollback(mut self) -> Result<(), ClientError> {
        let rolled_back = self.session.execute("ROLLBACK").await;
        self.ended = rolled_back.is_ok();
        match rolled_back {
            // There is none any more: the broker has ended it.
            Err(error) if error.code() == ErrorCode::Sql => {
                self.ended = true;
                Ok(())
            }
            other => other.map(drop),
        }
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.session.abandon();
        }
    }
}
