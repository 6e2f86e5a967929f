//! From the errors of LanceDB, Lance and DataFusion to the engine's.
//!
//! They wrap each other in many ways: what is known of an error is looked for in all of its causes.

use std::{error::Error as StdError, io, path::Path};

use dbmux_engine::EngineError;
use lance_core::Error as Lance;
use lancedb::{
    Error as LanceDb,
    arrow::arrow_schema::ArrowError,
    datafusion::common::{DataFusionError, SchemaError},
};

/// A failure of a client's statement, or of ours, on the database at this path.
pub(crate) fn of(error: &(dyn StdError + 'static), path: &Path) -> EngineError {
    let message = without_places(&error.to_string());
    causes(error).find_map(|cause| known(cause, path, &message)).unwrap_or_else(|| by_words(message))
}

/// Another writer was first: the operation has not happened, and may be tried again.
pub(crate) fn is_conflict(error: &LanceDb) -> bool {
    causes(error).any(|cause| {
        let conflict = |lance: &Lance| {
            matches!(
                lance,
                Lance::CommitConflict { .. }
                    | Lance::RetryableCommitConflict { .. }
                    | Lance::TooMuchWriteContention { .. }
                    | Lance::IncompatibleTransaction { .. }
            )
        };
        cause.downcast_ref::<Lance>().is_some_and(conflict)
    })
}

/// A fault of the statement's.
pub(crate) fn sql(sqlstate: &'static str, message: impl Into<String>) -> EngineError {
    EngineError::Sql { message: message.into(), sqlstate }
}

pub(crate) fn no_table(name: &str) -> EngineError {
    sql("42P01", format!("there is no table \"{name}\""))
}

pub(crate) fn internal(error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Internal { message: error.to_string() }
}

/// The system's failure to do something with a file.
pub(crate) fn io(error: &io::Error, path: &Path) -> EngineError {
    let (path, message) = (path.to_owned(), error.to_string());
    match error.kind() {
        io::ErrorKind::NotFound => EngineError::NotFound { path },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            EngineError::PermissionDenied { path, message }
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => EngineError::DiskFull { message },
        _ => EngineError::Io { path, message },
    }
}

/// A version was committed, and the disk failed to take it: after a power cut it may be gone.
pub(crate) fn unsynced(error: &io::Error) -> EngineError {
    EngineError::Fatal { message: format!("what was committed could not be synced to the disk: {error}") }
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| inside(*error))
}

/// What an error wraps. Some pass for what they wrap, and tell only its cause: those are opened here.
fn inside<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match (error.downcast_ref::<LanceDb>(), error.downcast_ref::<Lance>()) {
        (Some(LanceDb::External { source }), _) => Some(source.as_ref()),
        (Some(LanceDb::Lance { source }), _) => Some(source),
        (_, Some(Lance::External { source })) => Some(source.as_ref()),
        (_, Some(Lance::Shared { source })) => Some(source.as_ref()),
        _ => error.source(),
    }
}

/// What one of an error's causes says by its type.
fn known(cause: &(dyn StdError + 'static), path: &Path, message: &str) -> Option<EngineError> {
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return match io(error, path) {
            EngineError::NotFound { .. } => None,
            EngineError::Io { .. } => Some(EngineError::Io { path: path.to_owned(), message: message.to_owned() }),
            other => Some(other),
        };
    }
    if let Some(error) = cause.downcast_ref::<LanceDb>() {
        return of_lancedb(error);
    }
    if let Some(error) = cause.downcast_ref::<Lance>() {
        return of_lance(error, path, message);
    }
    cause.downcast_ref::<DataFusionError>().and_then(of_datafusion)
}

fn of_lancedb(error: &LanceDb) -> Option<EngineError> {
    let message = without_places(&error.to_string());
    Some(match error {
        LanceDb::TableNotFound { name, .. } => no_table(name),
        LanceDb::TableAlreadyExists { name } => sql("42P07", format!("there is a table \"{name}\" already")),
        LanceDb::ColumnNotFound { name } => sql("42703", format!("there is no column \"{name}\"")),
        LanceDb::InvalidTableName { .. } => sql("42602", message),
        LanceDb::IndexNotFound { name } => sql("42704", format!("there is no index \"{name}\"")),
        LanceDb::NotSupported { message } => {
            EngineError::Unsupported { what: "this operation".to_owned(), why: without_places(message) }
        }
        _ => return None,
    })
}

fn of_lance(error: &Lance, path: &Path, message: &str) -> Option<EngineError> {
    let message = message.to_owned();
    Some(match error {
        Lance::CommitConflict { .. }
        | Lance::RetryableCommitConflict { .. }
        | Lance::TooMuchWriteContention { .. }
        | Lance::IncompatibleTransaction { .. } => EngineError::Conflict { message },
        Lance::VersionNotFound { .. } | Lance::RefNotFound { .. } => sql("22023", message),
        Lance::SchemaMismatch { .. } => sql("42804", message),
        Lance::FieldNotFound { .. } => sql("42703", message),
        Lance::IndexNotFound { .. } => sql("42704", message),
        // Another program has removed the version, or its table.
        Lance::NotFound { .. } => sql("58P01", message),
        Lance::DatasetAlreadyExists { .. } => sql("42P07", message),
        Lance::CorruptFile { .. } => EngineError::Damaged {
            path: path.to_owned(),
            message,
            hint: "older versions may be whole: look with versions, and read one with checkout",
        },
        _ => return None,
    })
}

fn of_datafusion(error: &DataFusionError) -> Option<EngineError> {
    let message = without_places(&error.strip_backtrace());
    Some(match error {
        DataFusionError::SQL(..) => sql("42601", message),
        DataFusionError::SchemaError(reason, _) => match reason.as_ref() {
            SchemaError::FieldNotFound { .. } => sql("42703", message),
            _ => sql("42702", message),
        },
        DataFusionError::ResourcesExhausted(_) => EngineError::OutOfMemory { message },
        DataFusionError::NotImplemented(_) => {
            EngineError::Unsupported { what: "this statement".to_owned(), why: message }
        }
        DataFusionError::ArrowError(reason, _) => match reason.as_ref() {
            ArrowError::DivideByZero => sql("22012", message),
            ArrowError::CastError(_) | ArrowError::ParseError(_) => sql("22018", message),
            _ => return None,
        },
        _ => return None,
    })
}

/// What is left when no type tells: the words that are known.
fn by_words(message: String) -> EngineError {
    let has = |text: &str| message.contains(text);
    let sqlstate =
        if has("No field named") || has("does not exist in table schema") || has("not present in the table schema") {
            "42703"
        } else if has("ParserError") || has("sql parser error") || has("Expression is not valid") {
            "42601"
        } else if has("No space left on device") {
            return EngineError::DiskFull { message };
        } else if has("Error during planning") {
            "42000"
        } else {
            "22000"
        };
    sql(sqlstate, message)
}

/// Without the places in LanceDB's sources that its messages end with.
fn without_places(message: &str) -> String {
    let mut rest = message;
    let mut kept = String::with_capacity(message.len());
    while let Some(found) = rest.find(".rs:") {
        let (before, after) = rest.split_at(found);
        let place = after.get(4..).unwrap_or_default();
        // The line's number, and the column's.
        let after_line = place.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let column =
            after_line.strip_prefix(':').filter(|text| text.starts_with(|letter: char| letter.is_ascii_digit()));
        let after = column.map_or(after_line, |text| text.trim_start_matches(|letter: char| letter.is_ascii_digit()));
        let start = before.rfind([',', ' ']).unwrap_or(0);
        kept.push_str(before.get(..start).unwrap_or_default().trim_end_matches([',', ' ']));
        rest = after;
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_sources_are_left_out() {
        assert_eq!(without_places("Not found: x, /a/b-1.0/src/io/c.rs:12:34"), "Not found: x");
        assert_eq!(without_places("a: b, src/c.rs:1:2: and d"), "a: b: and d");
        assert_eq!(without_places("nothing here"), "nothing here");
    }
}
