//! What goes wrong, for a person or a program, and the exit codes: those of `dbmux` itself.

use std::{io::Write, process::ExitCode};

use dbmux_client::{ClientError, ErrorCode};
use serde_json::json;

/// A failed command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The database's own word.
    Database(ClientError),
    /// The output could not be written.
    Output(std::io::Error),
}

impl Failure {
    /// Tells it on standard error.
    pub(crate) fn show(&self, as_json: bool) {
        // Whoever closed standard error does not want to know.
        let _ = match self {
            Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Self::Output(error) => writeln!(std::io::stderr(), "error: {error}"),
            Self::Database(error) if as_json => writeln!(std::io::stderr(), "{}", for_program(error)),
            Self::Database(error) => writeln!(std::io::stderr(), "{}", for_person(error)),
        };
    }

    /// 75: try again later; 76: look before you repeat it; 69: no broker; 1: anything else.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Database(error) if error.is_temporary() => 75,
            Self::Database(error) if error.is_outcome_unknown() => 76,
            Self::Database(error) if error.code() == ErrorCode::BrokerUnavailable => 69,
            Self::Database(_) | Self::Output(_) => 1,
        })
    }
}

/// As this tool's users know it: `code`, `db_path`, `holding_pid`, `suggestion`.
fn for_program(error: &ClientError) -> serde_json::Value {
    json!({
        "code": error.code().as_str_name().trim_start_matches("ERROR_CODE_"),
        "message": error.to_string(),
        "db_path": error.db_path(),
        "holding_pid": error.holding_pid(),
        "suggestion": suggestion(error),
    })
}

fn for_person(error: &ClientError) -> String {
    let mut text = format!("error: {error}");
    if let Some(holder) = error.holder() {
        text.push_str(&format!("\n  held by  {} (pid {})", holder.command, holder.pid));
    }
    let suggestion = suggestion(error);
    if !suggestion.is_empty() {
        text.push_str(&format!("\n  hint     {suggestion}"));
    }
    text
}

fn suggestion(error: &ClientError) -> String {
    if error.is_temporary() { "wait longer with --wait 2m".to_owned() } else { error.suggestion() }
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
        match error {
            arrow::error::ArrowError::IoError(_, error) => Self::Output(error),
            other => Self::Output(std::io::Error::other(other)),
        }
    }
}
