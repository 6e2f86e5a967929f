//! The read-only transaction around one statement that may not write.

use std::sync::Arc;

use dbmux_engine::EngineError;

use crate::{errors, ffi::Connection};

/// Dropped, it rolls back.
pub(crate) struct ReadOnlyTransaction {
    connection: Option<Arc<Connection>>,
}

impl ReadOnlyTransaction {
    pub(crate) fn begin(connection: &Arc<Connection>) -> Result<Self, EngineError> {
        connection.run("BEGIN TRANSACTION READ ONLY").map_err(|failure| errors::statement(&failure))?;
        Ok(Self { connection: Some(Arc::clone(connection)) })
    }

    pub(crate) fn commit(mut self) -> Result<(), EngineError> {
        let done = self.connection.take().map_or(Ok(()), |connection| connection.run("COMMIT"));
        done.map_err(|failure| errors::statement(&failure))
    }
}

impl Drop for ReadOnlyTransaction {
    fn drop(&mut self) {
        // A failure cannot be told here; the transaction was read-only.
        if let Some(Err(failure)) = self.connection.take().map(|connection| connection.run("ROLLBACK")) {
            tracing::warn!(error = failure.message, "rolling back a read-only transaction failed");
        }
    }
}
