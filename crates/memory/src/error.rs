//! What went wrong, and what to do then.

use std::path::PathBuf;

use dbmux_client::{ClientError, ErrorCode, Holder};

use crate::embed::EmbedError;

/// What a store can be told. The questions of [`ClientError`] have answers here too.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The database, or the way to it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Too many calls are under way in this process. Nothing has happened.
    #[error("{depth} calls are under way in this process, and no more may be")]
    QueueFull {
        /// How many there are.
        depth: usize,
    },
    /// The call's time is over. Nothing has happened.
    #[error("the time was over {during}")]
    OutOfTime {
        /// What it was waiting for.
        during: &'static str,
    },
    /// No memory has this hash.
    #[error("there is no memory {hash}")]
    NotFound {
        /// The hash.
        hash: String,
    },
    /// A memory was to become what another one is already.
    #[error("another memory has this content already: {hash}")]
    Duplicate {
        /// The other one's hash.
        hash: String,
    },
    /// What was asked for makes no sense, by name.
    #[error("{0}")]
    InvalidArgument(String),
    /// A time that is not understood.
    #[error("{text:?} is no time that is understood")]
    Time {
        /// As it was given.
        text: String,
    },
    /// The database is no store of memories.
    #[error("{} is no store of memories: {found}", database.display())]
    NotAStore {
        /// The database.
        database: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// A newer dbmux made the store.
    #[error("{} is a store of version {found}, and this program knows versions up to {known}", database.display())]
    Newer {
        /// The database.
        database: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// The broker was started by an older dbmux, and lacks what the store needs.
    #[error("the broker of {} was started by an older dbmux", database.display())]
    OlderBroker {
        /// The database.
        database: PathBuf,
    },
    /// No vector could be made.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// What is in the database cannot be understood.
    #[error("the database's answer could not be understood: {0}")]
    Decode(String),
    /// What is imported cannot be read, or what is exported cannot be written.
    #[error("{operation}: {message}")]
    Io {
        /// What was done.
        operation: &'static str,
        /// The operating system's words.
        message: String,
    },
}

impl MemoryError {
    /// The code, as `--json` shows it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Client(error) => error.code(),
            Self::QueueFull { .. } => ErrorCode::QueueFull,
            Self::OutOfTime { .. } => ErrorCode::DeadlineExceeded,
            Self::Newer { .. } | Self::OlderBroker { .. } => ErrorCode::Unsupported,
            Self::NotAStore { .. } => ErrorCode::NotADatabase,
            Self::Decode(_) => ErrorCode::Protocol,
            Self::Embed(_) | Self::Io { .. } => ErrorCode::Internal,
            Self::NotFound { .. } | Self::Duplicate { .. } | Self::InvalidArgument(_) | Self::Time { .. } => {
                ErrorCode::InvalidArgument
            }
        }
    }

    /// The client's error, where it is one.
    pub fn client(&self) -> Option<&ClientError> {
        match self {
            Self::Client(error) => Some(error),
            _ => None,
        }
    }

    /// Who has what was waited for.
    pub fn holder(&self) -> Option<&Holder> {
        self.client().and_then(ClientError::holder)
    }

    /// What to do next; empty where nothing true can be said.
    pub fn suggestion(&self) -> String {
        match self {
            Self::Client(error) => error.suggestion(),
            Self::QueueFull { .. } => "try again when some of them have ended".to_owned(),
            Self::OutOfTime { .. } => "wait longer".to_owned(),
            Self::NotFound { .. } => "search for it, or list the memories".to_owned(),
            Self::Duplicate { .. } => "delete one of the two".to_owned(),
            Self::Time { .. } => {
                "say it as a date (2025-01-31), or as \"yesterday\", \"last week\", \"3 days ago\"".to_owned()
            }
            Self::NotAStore { .. } => "name another file, or import this one".to_owned(),
            Self::Newer { .. } => "use the newer dbmux".to_owned(),
            Self::OlderBroker { database } => {
                format!("end it by `dbmux stop {}`, and try again: the next one is this dbmux's", database.display())
            }
            Self::Embed(error) => error.suggestion(),
            Self::InvalidArgument(_) | Self::Decode(_) | Self::Io { .. } => String::new(),
        }
    }

    /// Try again later: somebody else is in the way, nothing has happened.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Client(error) => error.is_temporary(),
            Self::Embed(error) => error.is_temporary(),
            Self::QueueFull { .. } | Self::OutOfTime { .. } => true,
            _ => false,
        }
    }

    /// Another one changed the same rows first, more often than was borne. Nothing has happened.
    pub fn is_conflict(&self) -> bool {
        self.client().is_some_and(ClientError::is_conflict)
    }

    /// It has happened, or it has not: look before you repeat it.
    pub fn is_outcome_unknown(&self) -> bool {
        self.client().is_some_and(ClientError::is_outcome_unknown)
    }

    /// The database's own words, where a statement failed by them.
    pub(crate) fn said(&self) -> &str {
        let detail = self.client().and_then(ClientError::detail);
        detail.filter(|detail| detail.code() == ErrorCode::Sql).map_or("", |detail| detail.message.as_str())
    }
}
