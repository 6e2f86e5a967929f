//! Errors of an engine, and errors of the service that a client sees.

use std::path::PathBuf;

use dbmux_proto::{ErrorCode, ErrorDetail, Holder};

/// What an engine could not do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The statement is at fault: syntax, names, types, constraints.
    #[error("{message}")]
    Sql {
        /// The engine's own words.
        message: String,
        /// Five characters; empty where none fits.
        sqlstate: &'static str,
    },
    /// Another transaction changed the same rows first: redo the transaction.
    #[error("{message}")]
    Conflict {
        /// The engine's own words.
        message: String,
    },
    /// Somebody else has the file.
    #[error("{path} is in use: {message}")]
    Locked {
        /// The database file.
        path: PathBuf,
        /// The engine's own words.
        message: String,
    },
    /// The file is there and is not a database of this engine.
    #[error("{path} is not a {engine} database: {message}")]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// This engine.
        engine: &'static str,
        /// What it is instead, where that is known.
        message: String,
        /// What to do; empty where nothing true can be said.
        hint: &'static str,
    },
    /// There is no such file, and it may not be made.
    #[error("{path} does not exist")]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refuses.
    #[error("{path}: permission denied: {message}")]
    PermissionDenied {
        /// The file or directory.
        path: PathBuf,
        /// The engine's own words.
        message: String,
    },
    /// The statement would write where only reading is allowed.
    #[error("{message}")]
    ReadOnly {
        /// The engine's own words.
        message: String,
    },
    /// The statement would harm the shared instance or the file.
    #[error("{what} is refused: {why}")]
    Refused {
        /// What was asked.
        what: String,
        /// Why not, and what to do instead.
        why: String,
    },
    /// A type or feature that does not cross.
    #[error("{what} is not supported: {why}")]
    Unsupported {
        /// By name.
        what: String,
        /// Why not, and what to do instead.
        why: String,
    },
    /// An extension is missing and cannot be had.
    #[error("the {name} extension is missing: {message}")]
    ExtensionMissing {
        /// Its name.
        name: String,
        /// The engine's own words.
        message: String,
    },
    /// The statement was interrupted.
    #[error("interrupted")]
    Interrupted,
    /// The disk is full.
    #[error("no space left on the device: {message}")]
    DiskFull {
        /// The engine's own words.
        message: String,
    },
    /// The engine's memory limit is reached.
    #[error("out of memory: {message}")]
    OutOfMemory {
        /// The engine's own words.
        message: String,
    },
    /// The lock is gone, or the path names another file: nothing more is written.
    #[error("{path} is no longer the attached file: {message}")]
    FileLost {
        /// The database file.
        path: PathBuf,
        /// What was found.
        message: String,
    },
    /// It is written, and nobody can tell whether to the file that the path names.
    #[error("written, but {path} cannot be looked at: {message}")]
    Unverified {
        /// The database file.
        path: PathBuf,
        /// Why it cannot be looked at.
        message: String,
    },
    /// The file, or its log, is not whole, or the two do not belong together.
    #[error("{path} is damaged: {message}")]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// The engine's own words.
        message: String,
        /// What to do.
        hint: &'static str,
    },
    /// Reading or writing the file failed otherwise.
    #[error("{path}: {message}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The engine's own words.
        message: String,
    },
    /// The engine failed, and cannot be trusted any more: the broker must end.
    #[error("the engine failed: {message}")]
    Fatal {
        /// The engine's own words.
        message: String,
    },
    /// A defect of ours.
    #[error("internal error: {message}")]
    Internal {
        /// What went wrong.
        message: String,
    },
}

impl EngineError {
    /// The code that a client sees.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Sql { .. } => ErrorCode::Sql,
            Self::Conflict { .. } => ErrorCode::TransactionConflict,
            Self::Locked { .. } => ErrorCode::DatabaseLocked,
            Self::NotADatabase { .. } => ErrorCode::NotADatabase,
            Self::NotFound { .. } => ErrorCode::NoSuchDatabase,
            Self::PermissionDenied { .. } => ErrorCode::PermissionDenied,
            Self::ReadOnly { .. } => ErrorCode::ReadOnly,
            Self::Refused { .. } => ErrorCode::Refused,
            Self::Unsupported { .. } => ErrorCode::Unsupported,
            Self::ExtensionMissing { .. } => ErrorCode::ExtensionMissing,
            Self::Interrupted => ErrorCode::Cancelled,
            Self::DiskFull { .. } => ErrorCode::DiskFull,
            Self::OutOfMemory { .. } => ErrorCode::OutOfMemory,
            Self::FileLost { .. } => ErrorCode::FileLost,
            Self::Unverified { .. } => ErrorCode::OutcomeUnknown,
            Self::Damaged { .. } => ErrorCode::DatabaseDamaged,
            Self::Io { .. } | Self::Fatal { .. } | Self::Internal { .. } => ErrorCode::Internal,
        }
    }

    /// The SQLSTATE that fits; empty where none does.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Sql { sqlstate, .. } => sqlstate,
            Self::Conflict { .. } => "40001",
            Self::Locked { .. } => "55006",
            Self::PermissionDenied { .. } | Self::Refused { .. } => "42501",
            Self::ReadOnly { .. } => "25006",
            Self::Unsupported { .. } => "0A000",
            Self::Interrupted => "57014",
            Self::DiskFull { .. } => "53100",
            Self::OutOfMemory { .. } => "53200",
            Self::Io { .. } => "58030",
            Self::Unverified { .. } => "08007",
            Self::Damaged { .. } => "XX001",
            Self::NotFound { .. } => "3D000",
            Self::NotADatabase { .. }
            | Self::ExtensionMissing { .. }
            | Self::FileLost { .. }
            | Self::Fatal { .. }
            | Self::Internal { .. } => "XX000",
        }
    }

    /// What to do next; empty where nothing true can be said.
    fn suggestion(&self) -> &str {
        match self {
            Self::Refused { why, .. } | Self::Unsupported { why, .. } => why,
            Self::Damaged { hint, .. } | Self::NotADatabase { hint, .. } => hint,
            Self::FileLost { .. } => {
                "find out what replaced, moved or deleted the file, and put the attached one back if it was moved: what \
                 was acknowledged is in it; then try again"
            }
            Self::Unverified { .. } => {
                "see to it that the path leads to the file again, and look whether the change is there before you repeat it"
            }
            _ => "",
        }
    }
}

/// What a client is told: a code, a message, and whatever helps it to decide what to do next.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", .0.message)]
pub struct ServiceError(pub Box<ErrorDetail>);

impl ServiceError {
    /// An error with this code and message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Box::new(ErrorDetail { code: code.into(), message: message.into(), ..ErrorDetail::default() }))
    }

    /// Adds what to do next. It must be true.
    #[must_use]
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.0.suggestion = suggestion.into();
        self
    }

    /// Adds who has what was waited for.
    #[must_use]
    pub fn held_by(mut self, holder: Option<Holder>) -> Self {
        self.0.holding_pid = holder.as_ref().map_or(0, |holder| holder.pid);
        self.0.holder = holder;
        self
    }

    /// The code.
    pub fn code(&self) -> ErrorCode {
        self.0.code()
    }
}

impl From<EngineError> for ServiceError {
    fn from(error: EngineError) -> Self {
        let mut service = Self::new(error.code(), error.to_string());
        service.0.sqlstate = error.sqlstate().to_owned();
        error.suggestion().clone_into(&mut service.0.suggestion);
        if let EngineError::Refused { what, .. } = &error {
            service.0.message = format!("{what} is refused");
        }
        if let EngineError::Unsupported { what, .. } = &error {
            service.0.message = format!("{what} is not supported");
        }
        service
    }
}
