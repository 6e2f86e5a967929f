//! What a client can be told, and what it can do then.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use dbmux_lock::LockError;
use dbmux_proto::{ErrorCode, ErrorDetail, Holder};

/// What went wrong.
///
/// Four questions decide what to do next: [`ClientError::is_temporary`] (try again), [`ClientError::is_conflict`] (redo
/// the transaction), [`ClientError::is_hopeless`] (waiting cannot help), [`ClientError::is_outcome_unknown`] (look before
/// you repeat it).
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The broker's own word.
    #[error("{}", .0.message)]
    Broker(Box<ErrorDetail>),
    /// A statement that may have written was on its way when the broker went away, or stopped answering: it has happened,
    /// or it has not.
    #[error("{}: whether it happened is not known", on_its_way(holder.as_deref()))]
    OutcomeUnknown {
        /// The database.
        database: PathBuf,
        /// The broker, where it is still there and does not answer.
        holder: Option<Box<Holder>>,
    },
    /// The broker went away while the answer of a statement that only read was on its way. Nothing has changed.
    #[error("the broker went away before the end of the answer")]
    AnswerLost {
        /// The database.
        database: PathBuf,
    },
    /// The session's broker is gone, and with it the session's transaction, temporary tables and settings.
    #[error("the session is gone, with its transaction, temporary tables and settings")]
    SessionLost {
        /// The database.
        database: PathBuf,
    },
    /// The file is a database of another engine than the one that was asked for.
    #[error("{}: it is a database of the engine {engine}, and {wanted} was asked for", database.display())]
    OtherEngine {
        /// The database.
        database: PathBuf,
        /// What it is.
        engine: String,
        /// What was asked for.
        wanted: String,
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
    #[error("{} is in use: its broker is being started", database.display())]
    StartTimedOut {
        /// The database.
        database: PathBuf,
        /// How long we waited.
        waited: Duration,
        /// Who is starting it; `None`: another task of this process, or somebody who cannot be seen.
        holder: Option<Box<Holder>>,
    },
    /// The broker is there, and does not answer: it is stopped, or it hangs. Nothing has happened.
    #[error("the broker of {} does not answer{}", database.display(), process(holder.as_deref()))]
    NotAnswering {
        /// The database.
        database: PathBuf,
        /// How long we waited.
        waited: Duration,
        /// The broker, where it can be seen.
        holder: Option<Box<Holder>>,
        /// Where its log is.
        log: PathBuf,
    },
    /// The broker is about to leave, and takes longer for it than we may wait.
    #[error("the broker of {} is leaving, and has not left yet", database.display())]
    Leaving {
        /// The database.
        database: PathBuf,
        /// How long we waited.
        waited: Duration,
        /// The broker, where it can be seen.
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
    /// There is no directory in which the database could be.
    #[error("the directory of {} does not exist", database.display())]
    NoSuchDirectory {
        /// The path, as it was given.
        database: PathBuf,
    },
    /// `:memory:`, which DuckDB's own tools take for a database in memory.
    #[error(":memory: names no file, and only files are shared")]
    InMemory,
    /// There is no broker, and none may be started.
    #[error("no broker serves {}", database.display())]
    NoBroker {
        /// The database.
        database: PathBuf,
    },
    /// The directory for sockets and logs is open to others, or not ours: whoever can write there could pose as a broker.
    #[error("the runtime directory {} is not this user's alone: it is {found}", directory.display())]
    RuntimeDirectory {
        /// The directory.
        directory: PathBuf,
        /// What it is instead.
        found: String,
        /// It is ours, and only open to others.
        closable: bool,
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
    /// Somebody has the file, and had it until the deadline. Nothing is held.
    #[error("{} is in use", name(database))]
    Locked {
        /// The database.
        database: PathBuf,
        /// Who has it, where that can be seen.
        holder: Option<Box<Holder>>,
        /// Others that wait and go first.
        ahead: usize,
        /// How long we waited.
        waited: Duration,
    },
    /// A process that this one runs inside of has the file open, and waits for this one.
    #[error("{} is held by a command that this one runs inside of: waiting cannot help", name(database))]
    InsideHolder {
        /// The database.
        database: PathBuf,
        /// That process.
        holder: Box<Holder>,
    },
    /// The wait was cancelled. Nothing is held.
    #[error("the wait for {} was cancelled", name(database))]
    Cancelled {
        /// The database.
        database: PathBuf,
    },
    /// The database's locks cannot be used.
    #[error("{message}")]
    Lock {
        /// The database.
        database: PathBuf,
        /// What kind of refusal it is.
        code: ErrorCode,
        /// What the lock said.
        message: String,
        /// What to do; empty where nothing true can be said.
        suggestion: &'static str,
    },
    /// What came over the wire could not be understood.
    #[error("the answer could not be understood: {0}")]
    Decode(String),
    /// A value cannot be a parameter, or there is no statement.
    #[error("{0}")]
    InvalidArgument(String),
}

/// As a person calls it.
fn name(database: &Path) -> std::borrow::Cow<'_, str> {
    database.file_name().unwrap_or(database.as_os_str()).to_string_lossy()
}

/// The code of what a lock refuses.
pub(crate) fn lock_code(error: &LockError) -> ErrorCode {
    use std::io::ErrorKind as Io;
    match error {
        LockError::TimedOut { .. } | LockError::GateHeld { .. } => ErrorCode::DatabaseLocked,
        LockError::Full { .. } => ErrorCode::QueueFull,
        LockError::Cancelled { .. } => ErrorCode::Cancelled,
        LockError::NetworkFileSystem { .. } => ErrorCode::NetworkFileSystem,
        LockError::Replaced { .. } | LockError::Emptied { .. } => ErrorCode::FileLost,
        LockError::NotALock { .. } | LockError::Format { .. } | LockError::Name { .. } => ErrorCode::InvalidArgument,
        LockError::Open { .. } | LockError::Table { .. } | LockError::System(_) => match error.io_kind() {
            Some(Io::PermissionDenied | Io::ReadOnlyFilesystem) => ErrorCode::PermissionDenied,
            Some(Io::StorageFull | Io::QuotaExceeded) => ErrorCode::DiskFull,
            Some(Io::NotFound) => ErrorCode::NoSuchDatabase,
            _ => ErrorCode::Internal,
        },
    }
}

/// `the broker does not answer (stopped?) …`; `the broker went away …`.
fn on_its_way(holder: Option<&Holder>) -> String {
    let what = match holder {
        Some(_) => format!("the broker does not answer{}", process(holder)),
        None => "the broker went away".to_owned(),
    };
    format!("{what} while a statement was on its way")
}

/// ` (stopped?): pid 4242, state T`.
fn process(holder: Option<&Holder>) -> String {
    match holder {
        Some(holder) if holder.stopped => format!(" (stopped?): pid {}, state T", holder.pid),
        Some(holder) if holder.pid != 0 => format!(": pid {}", holder.pid),
        _ => String::new(),
    }
}

impl ClientError {
    /// The code, as `--json` shows it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Broker(detail) => detail.code(),
            Self::OutcomeUnknown { .. } => ErrorCode::OutcomeUnknown,
            Self::SessionLost { .. } => ErrorCode::SessionLost,
            Self::Start { .. } | Self::NoBroker { .. } | Self::RuntimeDirectory { .. } => ErrorCode::BrokerUnavailable,
            Self::StartTimedOut { .. } | Self::NotAnswering { .. } | Self::Locked { .. } => ErrorCode::DatabaseLocked,
            Self::InsideHolder { .. } => ErrorCode::SessionBusy,
            Self::Cancelled { .. } => ErrorCode::Cancelled,
            Self::Lock { code, .. } => *code,
            Self::AnswerLost { .. } | Self::Leaving { .. } => ErrorCode::Reconnect,
            Self::Protocol { .. } | Self::Decode(_) => ErrorCode::Protocol,
            Self::NoSuchDatabase { .. } | Self::NoSuchDirectory { .. } => ErrorCode::NoSuchDatabase,
            Self::Place { permission: true, .. } => ErrorCode::PermissionDenied,
            Self::Place { .. } | Self::InMemory | Self::OtherEngine { .. } | Self::InvalidArgument(_) => {
                ErrorCode::InvalidArgument
            }
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
            Self::OutcomeUnknown { database, .. }
            | Self::AnswerLost { database }
            | Self::NotAnswering { database, .. }
            | Self::Leaving { database, .. }
            | Self::SessionLost { database }
            | Self::Start { database, .. }
            | Self::StartTimedOut { database, .. }
            | Self::OtherEngine { database, .. }
            | Self::NoSuchDatabase { database }
            | Self::NoSuchDirectory { database }
            | Self::NoBroker { database }
            | Self::Locked { database, .. }
            | Self::InsideHolder { database, .. }
            | Self::Cancelled { database }
            | Self::Lock { database, .. } => Some(database.clone()),
            Self::Protocol { .. }
            | Self::RuntimeDirectory { .. }
            | Self::Place { .. }
            | Self::InMemory
            | Self::Decode(_)
            | Self::InvalidArgument(_) => None,
        }
    }

    /// Who has what was waited for.
    pub fn holder(&self) -> Option<&Holder> {
        match self {
            Self::Broker(detail) => detail.holder.as_ref(),
            Self::StartTimedOut { holder, .. }
            | Self::NotAnswering { holder, .. }
            | Self::Leaving { holder, .. }
            | Self::Locked { holder, .. }
            | Self::OutcomeUnknown { holder, .. } => holder.as_deref(),
            Self::InsideHolder { holder, .. } => Some(holder),
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
            Self::StartTimedOut { waited, .. }
            | Self::NotAnswering { waited, .. }
            | Self::Leaving { waited, .. }
            | Self::Locked { waited, .. } => Some(*waited),
            _ => None,
        }
    }

    /// What to do next; empty where nothing true can be said.
    pub fn suggestion(&self) -> String {
        match self {
            Self::Broker(detail) => detail.suggestion.clone(),
            Self::OutcomeUnknown { holder: Some(holder), .. } if holder.stopped => format!(
                "let it go on with `kill -CONT {}`, and look whether it has happened before you repeat it",
                holder.pid
            ),
            Self::NotAnswering { holder: Some(holder), .. } | Self::Locked { holder: Some(holder), .. }
                if holder.stopped =>
            {
                format!("let it go on with `kill -CONT {pid}`, or end it with `kill -KILL {pid}`", pid = holder.pid)
            }
            Self::NotAnswering { log, .. } => format!("wait longer, or see {}", log.display()),
            Self::AnswerLost { .. } => "run it again".to_owned(),
            Self::Leaving { .. } => "wait longer: it ends what runs".to_owned(),
            Self::OutcomeUnknown { .. } => "look whether it has happened before you repeat it".to_owned(),
            Self::SessionLost { .. } => "begin again in a new session".to_owned(),
            Self::Start { log, .. } => format!("see {}", log.display()),
            Self::StartTimedOut { holder: Some(holder), .. } if holder.stopped => {
                format!("let it go on with `kill -CONT {}`, or end it", holder.pid)
            }
            Self::StartTimedOut { .. } => "wait longer, or end the process that is starting it".to_owned(),
            Self::Protocol { .. } => "use the same version of dbmux everywhere".to_owned(),
            Self::NoSuchDatabase { .. } => "check the path".to_owned(),
            Self::NoSuchDirectory { .. } => "check the path, or make the directory first".to_owned(),
            Self::RuntimeDirectory { directory, closable: true, .. } => format!("chmod 700 {}", directory.display()),
            Self::RuntimeDirectory { .. } => "set DBMUX_RUNTIME_DIR to a directory of yours alone".to_owned(),
            Self::OtherEngine { .. } => "leave the engine out, or name another file".to_owned(),
            Self::InMemory => "name a file; a database in memory needs no broker, but DuckDB alone".to_owned(),
            Self::Locked { .. } => "wait longer, or end the process that has the file".to_owned(),
            Self::InsideHolder { .. } => "close the file there first".to_owned(),
            Self::Lock { suggestion, .. } => (*suggestion).to_owned(),
            Self::Cancelled { .. } => String::new(),
            Self::NoBroker { .. } | Self::Place { .. } | Self::Decode(_) | Self::InvalidArgument(_) => String::new(),
        }
    }

    pub(crate) fn into_holder(self) -> Option<Box<Holder>> {
        match self {
            Self::NotAnswering { holder, .. } => holder,
            _ => None,
        }
    }

    /// How many others go first.
    pub fn ahead(&self) -> usize {
        match self {
            Self::Broker(detail) => usize::try_from(detail.ahead).unwrap_or(usize::MAX),
            Self::Locked { ahead, .. } => *ahead,
            _ => 0,
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
