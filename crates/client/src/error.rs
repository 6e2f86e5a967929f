//! What a client can be told, and what it can do then.

use std::{path::PathBuf, time::Duration};

use dbmux_proto::{ErrorCode, ErrorDetail, Holder};

/// What went wrong.
///
/// Four questions decide what to do next: [`ClientError::is_temporary`] (try again), [`ClientError::is_conflict`] (redo
/// the transaction), [`ClientError::is_hopeless`] (waiting cannot help), [`ClientError::is_outcome_unknown`] (look before
/// you repeat it).
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// The broker's own word.
    #[error("{}", .0.message)]
    Broker(Box<ErrorDetail>),
    /// The connection was lost while a statement that may have written was on its way: it has happened, or it has not.
    #[error("the broker went away while a statement was on its way: whether it happened is not known")]
    OutcomeUnknown {
        /// The database.
        database: PathBuf,
    },
    /// The session's broker is gone, and with it the session's transaction, temporary tables and settings.
    #[error("the session is gone, with its transaction, temporary tables and settings")]
    SessionLost {
        /// The database.
        database: PathBuf,
    },
    /// No broker could be started.
    #[error("no broker could be started for {}: {reason}", database.display())]
    Start {
        /// The database.
        database: PathBuf,
        /// Why.
        reason: String,
        /// Where the broker's log is.
        log: PathBuf,
    },
    /// Somebody else was starting a broker for longer than we may wait.
    #[error("{} is in use: another process has been starting its broker", database.display())]
    StartTimedOut {
        /// The database.
        database: PathBuf,
        /// How long we waited.
        waited: Duration,
        /// Who is starting it, where that is known.
        holder: Option<Box<Holder>>,
    },
    /// The broker speaks another protocol.
    #[error("the broker speaks protocol {theirs}, and this program speaks {ours}")]
    Protocol {
        /// Theirs.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// There is no such database, and it may not be made.
    #[error("{} does not exist", database.display())]
    NoSuchDatabase {
        /// The path.
        database: PathBuf,
    },
    /// There is no broker, and none may be started.
    #[error("no broker serves {}", database.display())]
    NoBroker {
        /// The database.
        database: PathBuf,
    },
    /// The path cannot be a database, or a place that dbmux needs cannot be used.
    #[error("{operation}: {message}")]
    Place {
        /// What was done.
        operation: String,
        /// The operating system's words.
        message: String,
        /// The refusal was one of permission.
        permission: bool,
    },
    /// What came over the wire could not be understood.
    #[error("the answer could not be understood: {0}")]
    Decode(String),
    /// A value cannot be a parameter, or there is no statement.
    #[error("{0}")]
    InvalidArgument(String),
}

impl ClientError {
    /// The code, as `--json` shows it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Broker(detail) => detail.code(),
            Self::OutcomeUnknown { .. } => ErrorCode::OutcomeUnknown,
            Self::SessionLost { .. } => ErrorCode::SessionLost,
            Self::Start { .. } | Self::NoBroker { .. } => ErrorCode::BrokerUnavailable,
            Self::StartTimedOut { .. } => ErrorCode::DatabaseLocked,
            Self::Protocol { .. } | Self::Decode(_) => ErrorCode::Protocol,
            Self::NoSuchDatabase { .. } => ErrorCode::NoSuchDatabase,
            Self::Place { permission: true, .. } => ErrorCode::PermissionDenied,
            Self::Place { .. } | Self::InvalidArgument(_) => ErrorCode::InvalidArgument,
        }
    }

    /// The broker's detail, where the error is the broker's.
    pub fn detail(&self) -> Option<&ErrorDetail> {
        match self {
            Self::Broker(detail) => Some(detail),
            _ => None,
        }
    }

    /// The database file, where it is known.
    pub fn db_path(&self) -> Option<PathBuf> {
        match self {
            Self::Broker(detail) => (!detail.db_path.is_empty()).then(|| PathBuf::from(&detail.db_path)),
            Self::OutcomeUnknown { database }
            | Self::SessionLost { database }
            | Self::Start { database, .. }
            | Self::StartTimedOut { database, .. }
            | Self::NoSuchDatabase { database }
            | Self::NoBroker { database } => Some(database.clone()),
            Self::Protocol { .. } | Self::Place { .. } | Self::Decode(_) | Self::InvalidArgument(_) => None,
        }
    }

    /// Who has what was waited for.
    pub fn holder(&self) -> Option<&Holder> {
        match self {
            Self::Broker(detail) => detail.holder.as_ref(),
            Self::StartTimedOut { holder, .. } => holder.as_deref(),
            _ => None,
        }
    }

    /// The process id of [`ClientError::holder`], where it has one that means something here.
    pub fn holding_pid(&self) -> Option<u32> {
        self.holder().map(|holder| holder.pid).filter(|pid| *pid != 0)
    }

    /// How long was waited.
    pub fn waited(&self) -> Option<Duration> {
        match self {
            Self::Broker(detail) if detail.waited_ms > 0 => Some(Duration::from_millis(detail.waited_ms)),
            Self::StartTimedOut { waited, .. } => Some(*waited),
            _ => None,
        }
    }

    /// What to do next; empty where nothing true can be said.
    pub fn suggestion(&self) -> String {
        match self {
            Self::Broker(detail) => detail.suggestion.clone(),
            Self::OutcomeUnknown { .. } => "look whether it has happened before you repeat it".to_owned(),
            Self::SessionLost { .. } => "begin again in a new session".to_owned(),
            Self::Start { log, .. } => format!("see {}", log.display()),
            Self::StartTimedOut { .. } => "wait longer, or end the process that is starting it".to_owned(),
            Self::Protocol { .. } => "use the same version of dbmux everywhere".to_owned(),
            Self::NoSuchDatabase { .. } => "check the path".to_owned(),
            Self::NoBroker { .. } | Self::Place { .. } | Self::Decode(_) | Self::InvalidArgument(_) => String::new(),
        }
    }

    /// Try again later: somebody else is in the way, nothing has happened.
    pub fn is_temporary(&self) -> bool {
        use ErrorCode::{DatabaseLocked, DeadlineExceeded, QueueFull, Reconnect};
        matches!(self.code(), DatabaseLocked | DeadlineExceeded | QueueFull | Reconnect)
    }

    /// Redo the transaction: another one changed the same rows first.
    pub fn is_conflict(&self) -> bool {
        self.code() == ErrorCode::TransactionConflict
    }

    /// Waiting cannot help: the session itself is in the way.
    pub fn is_hopeless(&self) -> bool {
        self.code() == ErrorCode::SessionBusy
    }

    /// It has happened, or it has not: look before you repeat it.
    pub fn is_outcome_unknown(&self) -> bool {
        self.code() == ErrorCode::OutcomeUnknown
    }
}
