//! What goes wrong, for a person, and the exit codes: those of `dbmux` itself.

use std::{io::Write, path::PathBuf, process::ExitCode};

use dbmux_client::{ClientError, ErrorCode};

/// A failed command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The database's own word.
    Database(ClientError),
    /// A file or directory of the tree.
    File { path: PathBuf, error: std::io::Error },
    /// The tree could not be walked.
    Walk(ignore::Error),
    /// A process that was started for a part of the work; it has said why itself.
    Part { code: u8 },
    /// The engine is one that this program does not know.
    Engine(String),
    /// The output could not be written, or a process not be started.
    Output(std::io::Error),
}

impl Failure {
    /// Tells it on standard error.
    pub(crate) fn show(&self) {
        // Whoever closed standard error does not want to know.
        let _ = match self {
            Self::Part { .. } => Ok(()),
            Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => writeln!(std::io::stderr(), "error: {other}"),
        };
    }

    /// 75: try again later; 76: look before you repeat it; 69: no broker; 1: anything else.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Part { code } => *code,
            Self::Database(error) if error.is_temporary() => 75,
            Self::Database(error) if error.is_outcome_unknown() => 76,
            Self::Database(error) if error.code() == ErrorCode::BrokerUnavailable => 69,
            _ => 1,
        })
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database(error) => {
                write!(to, "{error}")?;
                let suggestion = error.suggestion();
                if suggestion.is_empty() { Ok(()) } else { write!(to, "\n  hint     {suggestion}") }
            }
            Self::File { path, error } => write!(to, "{}: {error}", path.display()),
            Self::Walk(error) => write!(to, "{error}"),
            Self::Part { code } => write!(to, "a process of this index ended with {code}"),
            Self::Engine(name) => write!(to, "no index is kept in databases of {name}"),
            Self::Output(error) => write!(to, "{error}"),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Database(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<arrow::error::ArrowError> for Failure {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Output(std::io::Error::other(error))
    }
}
