//! Everything that can go wrong on the command line, as one object that a person or a program can read.

use std::path::{Path, PathBuf};

use dbmux_client::{ClientError, ErrorCode, Holder, lock_holder};
use dbmux_lock::LockError;
use dbmux_os::OsError;
use dbmux_report::{ReportError, code_name as name};

use crate::{exit::Exit, split::Statement};

/// A failed command.
#[derive(Debug, Default)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    pub(crate) message: Box<str>,
    pub(crate) db_path: Option<Box<Path>>,
    pub(crate) holder: Option<Box<Holder>>,
    pub(crate) waited_s: Option<f64>,
    pub(crate) ahead: u32,
    pub(crate) suggestion: Box<str>,
    pub(crate) sqlstate: Box<str>,
    pub(crate) exit: Option<Exit>,
    pub(crate) quiet: bool,
    pub(crate) at: Option<Box<Origin>>,
}

/// Which of several statements it was.
#[derive(Debug)]
pub(crate) struct Origin {
    /// A file's name, …
    pub(crate) source: String,
    /// From 1.
    pub(crate) line: usize,
    /// From 1.
    pub(crate) statement: usize,
}

impl Failure {
    /// The command line makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: "USAGE", message: message.into().into(), exit: Some(Exit::Usage), ..Self::default() }
    }

    /// Something of the system failed.
    pub(crate) fn system(message: impl Into<String>) -> Self {
        Self { code: "SYSTEM", message: message.into().into(), exit: Some(Exit::Failed), ..Self::default() }
    }

    pub(crate) fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = Some(exit);
        self
    }

    /// Nothing needs to be said: whoever read our output has had enough, or everything was said already.
    pub(crate) fn quiet(exit: Exit) -> Self {
        Self { exit: Some(exit), quiet: true, ..Self::default() }
    }

    pub(crate) fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into().into();
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.suggestion = hint.into().into();
        self
    }

    /// Says which statement of a text it was. The engine counts lines from the statement's begin; here they are those of
    /// the text.
    pub(crate) fn at(mut self, source: &str, statement: &Statement) -> Self {
        let (message, line) = relocated(&self.message, statement.line);
        self.message = message.into();
        self.at = Some(Box::new(Origin { source: source.to_owned(), line, statement: statement.number }));
        self
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit.unwrap_or(Exit::Failed)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = error.code();
        Self {
            code: name(code),
            message: error.to_string().into(),
            db_path: error.db_path().map(Into::into),
            holder: error.holder().cloned().map(Box::new),
            waited_s: error.waited().map(|waited| waited.as_secs_f64()),
            ahead: u32::try_from(error.ahead()).unwrap_or(u32::MAX),
            suggestion: suggestion(&error).into(),
            sqlstate: error.detail().map(|detail| detail.sqlstate.as_str().into()).unwrap_or_default(),
            exit: Some(exit(code)),
            ..Self::default()
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::quiet(Exit::BrokenPipe);
        }
        Self::system(error.to_string())
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        let text = error.to_string();
        match error {
            LockError::TimedOut { path, holder, ahead, waited } => Self {
                code: name(ErrorCode::DatabaseLocked),
                message: format!("{} is locked", path.display()).into(),
                holder: holder.as_deref().map(lock_holder).map(Box::new),
                waited_s: Some(waited.as_secs_f64()),
                ahead: u32::try_from(ahead).unwrap_or(u32::MAX),
                suggestion: "wait longer with --wait 2m".into(),
                exit: Some(Exit::TryAgain),
                ..Self::default()
            },
            LockError::Cancelled { .. } => Self::quiet(Exit::Interrupted),
            LockError::Full { .. } | LockError::GateHeld { .. } => Self {
                code: name(if matches!(error, LockError::Full { .. }) {
                    ErrorCode::QueueFull
                } else {
                    ErrorCode::DatabaseLocked
                }),
                ..Self::system(text).with_exit(Exit::TryAgain)
            },
            LockError::NetworkFileSystem { .. } => Self {
                code: name(ErrorCode::NetworkFileSystem),
                suggestion: "run it on the machine where the file is: ssh HOST dbmux …".into(),
                ..Self::system(text)
            },
            LockError::Name { .. } => Self::usage(text),
            LockError::NotALock { path } => Self {
                code: name(ErrorCode::InvalidArgument),
                db_path: database_of(&path).map(Into::into),
                suggestion: "dbmux keeps its locks there: move away what it is now, and try again".into(),
                ..Self::system(text)
            },
            LockError::System(error) => error.into(),
            _ => Self::system(text),
        }
    }
}

/// The database whose locks are in this file.
fn database_of(sidecar: &Path) -> Option<PathBuf> {
    let database = PathBuf::from(sidecar.to_str()?.strip_suffix(".dbmux")?);
    (dbmux_lock::sidecar_path(&database) == sidecar).then_some(database)
}

impl From<OsError> for Failure {
    fn from(error: OsError) -> Self {
        match error {
            OsError::NotPrivate { path, found, closable } => {
                ClientError::RuntimeDirectory { directory: path, found, closable }.into()
            }
            other => Self::system(other.to_string()),
        }
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Client(error) => error.into(),
            ReportError::Lock(error) => error.into(),
            ReportError::System(error) => error.into(),
            other => Self::system(other.to_string()),
        }
    }
}

impl From<arrow::error::ArrowError> for Failure {
    fn from(error: arrow::error::ArrowError) -> Self {
        match error {
            arrow::error::ArrowError::IoError(_, error) => Self::from(error),
            other => Self::system(other.to_string()),
        }
    }
}

/// `LINE 1: selec`, with a caret below it, of a statement that begins on line `first`: the message with the text's own
/// lines, and the line.
fn relocated(message: &str, first: usize) -> (String, usize) {
    let mut lines: Vec<String> = message.lines().map(str::to_owned).collect();
    for index in 0..lines.len() {
        let Some((number, code)) = lines[index].strip_prefix("LINE ").and_then(|rest| rest.split_once(": ")) else {
            continue;
        };
        let Ok(counted) = number.parse::<usize>() else { continue };
        let line = first + counted.max(1) - 1;
        let wider = line.to_string().len().saturating_sub(number.len());
        lines[index] = format!("LINE {line}: {code}");
        if let Some(caret) = lines.get_mut(index + 1).filter(|below| is_caret(below)) {
            caret.insert_str(0, &" ".repeat(wider));
        }
        return (lines.join("\n"), line);
    }
    (message.to_owned(), first)
}

fn is_caret(text: &str) -> bool {
    text.ends_with('^') && text.trim().bytes().all(|byte| byte == b'^')
}

/// The hint on the command line's own terms.
fn suggestion(error: &ClientError) -> String {
    match error.code() {
        // Its process is to be looked at, not waited for.
        _ if error.holder().is_some_and(|holder| holder.stopped) => error.suggestion(),
        // The broker knows more: what else would help, or why it does not.
        ErrorCode::DatabaseLocked if error.suggestion().starts_with("wait longer; ") => {
            error.suggestion().replacen("wait longer", "wait longer with --wait 2m", 1)
        }
        ErrorCode::DatabaseLocked | ErrorCode::DeadlineExceeded => "wait longer with --wait 2m".to_owned(),
        _ => error.suggestion(),
    }
}

fn exit(code: ErrorCode) -> Exit {
    match code {
        ErrorCode::DatabaseLocked | ErrorCode::QueueFull | ErrorCode::DeadlineExceeded | ErrorCode::Reconnect => {
            Exit::TryAgain
        }
        ErrorCode::TransactionConflict => Exit::Conflict,
        ErrorCode::OutcomeUnknown => Exit::OutcomeUnknown,
        ErrorCode::BrokerUnavailable | ErrorCode::Protocol | ErrorCode::NetworkFileSystem => Exit::NoBroker,
        ErrorCode::Cancelled => Exit::Interrupted,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_text() {
        let message = "Parser Error: no\n\nLINE 2: selec 3\n        ^^^^^";
        assert_eq!(relocated(message, 1), (message.to_owned(), 2));
        let there = "Parser Error: no\n\nLINE 10: selec 3\n         ^^^^^";
        assert_eq!(relocated(message, 9), (there.to_owned(), 10));
        assert_eq!(relocated("LINE up: it is full", 4), ("LINE up: it is full".to_owned(), 4));
    }

    #[test]
    fn the_guide_has_every_code() {
        let guide = include_str!("../../../docs/troubleshooting.md");
        let codes = (1..).map_while(|number| ErrorCode::try_from(number).ok());
        let mut rows = 0;
        for code in codes {
            let row = format!("| `{}` | {} |", name(code), exit(code).number());
            assert!(guide.contains(&row), "docs/troubleshooting.md lacks this row: {row}");
            rows += 1;
        }
        for row in ["| `USAGE` | 2 |", "| `SYSTEM` | 1 |", "| `NOT_COMMITTED` | 1 |"] {
            assert!(guide.contains(row), "docs/troubleshooting.md lacks this row: {row}");
        }
        let found = guide.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(found, rows + 3, "docs/troubleshooting.md has codes that the program does not know");
    }
}
