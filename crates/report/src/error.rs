//! Why something could not be looked at, and what errors are called.

use dbmux_client::{ClientError, ErrorCode};
use dbmux_lock::LockError;
use dbmux_os::OsError;

/// Why something could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The broker does not answer as it should.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The locks could not be looked at.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The system does not tell.
    #[error(transparent)]
    System(#[from] OsError),
}

/// `DATABASE_LOCKED`, …
pub fn code_name(code: ErrorCode) -> &'static str {
    code.as_str_name().trim_start_matches("ERROR_CODE_")
}
