//! From DuckDB's errors to the engine's.

use std::path::Path;

use dbmux_engine::EngineError;

use crate::ffi::{Code, Failure};

/// A failure of a client's statement.
pub(crate) fn statement(failure: &Failure) -> EngineError {
    let message = failure.message.clone();
    let has = |text: &str| message.contains(text);
    if has("No space left on device") {
        return EngineError::DiskFull { message };
    }
    if let Some(refused) = refusal(&message) {
        return refused;
    }
    if is_attached_already(failure) {
        let what = "attaching the same file once more".to_owned();
        return EngineError::Refused { what, why: "it is attached already: use its tables".to_owned() };
    }
    if let Some(name) = missing_extension(&message) {
        return EngineError::ExtensionMissing { name, message };
    }
    match failure.code {
        Code::DUCKDB_V2_ERROR_RUNTIME_INTERRUPT => EngineError::Interrupted,
        Code::DUCKDB_V2_ERROR_RUNTIME_FATAL | Code::DUCKDB_V2_ERROR_RUNTIME_INTERNAL => EngineError::Fatal { message },
        Code::DUCKDB_V2_ERROR_RESOURCE_OUT_OF_MEMORY => EngineError::OutOfMemory { message },
        _ if has("read-only mode") || has("read-only transaction") => EngineError::ReadOnly { message },
        // The other one's key was not to be seen yet when the row was checked: checked again, it is a duplicate, or free.
        Code::DUCKDB_V2_ERROR_DATABASE_TRANSACTION
            if has("onflict") || has("Failed to commit: PRIMARY KEY or UNIQUE") =>
        {
            EngineError::Conflict { message }
        }
        // A copy took the file's place, or the file the copy's, between two looks of one statement.
        _ if has("was already used by a different database in this transaction") => EngineError::Conflict { message },
        code => EngineError::Sql { sqlstate: sqlstate(code, &message), message },
    }
}

/// What COMMIT failed with. A key that another transaction has taken meanwhile stays taken: to begin again helps nobody.
pub(crate) fn commit(error: EngineError) -> EngineError {
    match error {
        EngineError::Conflict { message } if message.contains("uplicate key") => {
            EngineError::Sql { message, sqlstate: "23505" }
        }
        other => other,
    }
}

/// What `shim/guard.cpp` refused.
fn refusal(message: &str) -> Option<EngineError> {
    let (_, text) = message.split_once("[dbmux refuses] ")?;
    let (what, why) = text.split_once(" :: ")?;
    let why = why.lines().next().unwrap_or_default();
    Some(EngineError::Refused { what: what.to_owned(), why: why.to_owned() })
}

/// The name of the extension that a message misses.
fn missing_extension(message: &str) -> Option<String> {
    let is_name =
        |name: &&str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    // `Extension "/…/icu.duckdb_extension" not found.`
    if let Some((path, rest)) = message.split_once(".duckdb_extension\"")
        && rest.trim_start().starts_with("not found")
    {
        return path.rsplit(['/', '"']).next().filter(is_name).map(str::to_owned);
    }
    // Arithmetic with time zones is in an extension, of which this error says nothing: with it, a candidate would match.
    if let Some((given, candidates)) = message.split_once("Candidate functions")
        && given.contains("No function matches")
        && given.contains("TIMESTAMP WITH TIME ZONE")
        && !candidates.contains("TIMESTAMP WITH TIME ZONE")
    {
        return Some("icu".to_owned());
    }
    // `… but it exists in the spatial extension.`
    let (_, rest) = message.split_once("exists in the ")?;
    let (name, _) = rest.split_once(" extension")?;
    Some(name.trim_matches(['"', '\''])).filter(is_name).map(str::to_owned)
}

/// A failure of CHECKPOINT. DuckDB keeps what a committed transaction has updated or dropped, and its lock against
/// checkpoints, until all have ended that began before (`DuckTransactionManager::RemoveTransaction`).
pub(crate) fn settle(failure: &Failure) -> EngineError {
    match failure.message.contains("other write transactions active") {
        true => EngineError::Conflict { message: failure.message.clone() },
        false => internal(failure),
    }
}

/// A failure to turn a client's parameter into a value.
pub(crate) fn parameter(failure: &Failure, types: impl FnOnce() -> String) -> EngineError {
    match failure.code {
        Code::DUCKDB_V2_ERROR_QUERY_NOT_IMPLEMENTED => EngineError::Unsupported {
            what: format!("a parameter among those of the Arrow types {}", types()),
            why: "DuckDB takes no value of this type".to_owned(),
        },
        _ => statement(failure),
    }
}

/// DuckDB knows the file under some name.
pub(crate) fn is_attached_already(failure: &Failure) -> bool {
    failure.message.contains("Unique file handle conflict")
}

/// A failure to attach the file.
pub(crate) fn attach(failure: &Failure, path: &Path) -> EngineError {
    let (path, message) = (path.to_owned(), failure.message.clone());
    let has = |text: &str| message.contains(text);
    if has("Could not set lock on file") {
        EngineError::Locked { path, message }
    } else if has("Permission denied") || has("Read-only file system") {
        EngineError::PermissionDenied { path, message }
    } else if has("No space left on device") {
        EngineError::DiskFull { message }
    } else if has("not a valid DuckDB database file") {
        EngineError::NotADatabase { path, engine: "DuckDB", message, hint: "" }
    } else if has("Cannot open encrypted database") {
        let why = "its key cannot be given here; decrypt it with DuckDB's own command line".to_owned();
        EngineError::Unsupported { what: format!("the encrypted database {}", path.display()), why }
    } else if let Some((_, rest)) = failure.message.split_once("The version string '") {
        let version = rest.split('\'').next().unwrap_or_default();
        let why = storage_versions(rest).unwrap_or(message);
        EngineError::Unsupported { what: format!("the storage version {version}"), why }
    } else if has("Trying to read a database file with version number") {
        EngineError::Unsupported { what: format!("the storage version of {}", path.display()), why: message }
    } else if has("WAL checkpoint iteration does not match") || has("replaying WAL") {
        let hint = "its log (.wal) belongs to another state of the file, or is not whole: if the file was restored or \
                    replaced, put the log aside, without deleting it, and try again";
        EngineError::Damaged { path, message, hint }
    } else if has("Corrupt database file") || has("Data Corruption") || has("Could not read enough bytes") {
        let hint = "restore it from a copy; DuckDB's own command line may still read a part of it (EXPORT DATABASE)";
        EngineError::Damaged { path, message, hint }
    } else if has("does not exist") {
        EngineError::NotFound { path }
    } else if failure.code == Code::DUCKDB_V2_ERROR_RUNTIME_FATAL {
        EngineError::Fatal { message }
    } else {
        EngineError::Io { path, message }
    }
}

/// The versions that can be chosen, of the list that DuckDB gives: some seventy, from the oldest to the newest.
fn storage_versions(list: &str) -> Option<String> {
    let (_, list) = list.split_once("valid options are: ")?;
    let names = list.lines().next()?.split(", ").map(str::trim);
    let versions: Vec<_> = names.filter(|name| name.starts_with('v')).collect();
    let (oldest, newest) = (versions.first()?, versions.last()?);
    let few: Vec<_> = versions.iter().rev().take(3).copied().collect();
    Some(format!("choose latest, {}, or any from {oldest} to {newest}", few.join(", ")))
}

/// A failure of a call that no client asked for.
pub(crate) fn internal(failure: &Failure) -> EngineError {
    match statement(failure) {
        EngineError::Sql { message, .. } => EngineError::Internal { message },
        other => other,
    }
}

/// Five characters for a failure that is the statement's fault.
fn sqlstate(code: Code, message: &str) -> &'static str {
    let first = |choices: &[(&str, &'static str)], otherwise: &'static str| {
        choices.iter().find(|(text, _)| message.contains(text)).map_or(otherwise, |(_, state)| *state)
    };
    match code {
        Code::DUCKDB_V2_ERROR_QUERY_PARSER | Code::DUCKDB_V2_ERROR_QUERY_SYNTAX => "42601",
        Code::DUCKDB_V2_ERROR_QUERY_BINDER => first(
            &[
                ("Referenced column", "42703"),
                ("Referenced table", "42P01"),
                ("mbiguous", "42702"),
                ("No function matches", "42883"),
            ],
            "42000",
        ),
        Code::DUCKDB_V2_ERROR_DATABASE_CATALOG => first(
            &[
                ("already exists", "42P07"),
                ("Table with name", "42P01"),
                ("Function with name", "42883"),
                ("Schema with name", "3F000"),
            ],
            "42704",
        ),
        Code::DUCKDB_V2_ERROR_DATABASE_CONSTRAINT => first(
            &[("NOT NULL", "23502"), ("uplicate key", "23505"), ("oreign key", "23503"), ("CHECK", "23514")],
            "23000",
        ),
        Code::DUCKDB_V2_ERROR_DATABASE_TRANSACTION => first(
            &[
                ("within a transaction", "25001"),
                ("no transaction is active", "25P01"),
                ("aborted", "25P02"),
                ("uplicate key", "23505"),
            ],
            "25000",
        ),
        Code::DUCKDB_V2_ERROR_TYPE_CONVERSION => "22P02",
        Code::DUCKDB_V2_ERROR_INPUT_OUT_OF_RANGE | Code::DUCKDB_V2_ERROR_TYPE_DECIMAL => "22003",
        Code::DUCKDB_V2_ERROR_TYPE_DIVIDE_BY_ZERO => "22012",
        Code::DUCKDB_V2_ERROR_TYPE_MISMATCH | Code::DUCKDB_V2_ERROR_TYPE_INVALID => "42804",
        Code::DUCKDB_V2_ERROR_QUERY_NOT_IMPLEMENTED => "0A000",
        Code::DUCKDB_V2_ERROR_IO_FILE_NOT_FOUND => "58P01",
        Code::DUCKDB_V2_ERROR_IO_GENERAL
        | Code::DUCKDB_V2_ERROR_IO_READ_FAILURE
        | Code::DUCKDB_V2_ERROR_IO_EOF
        | Code::DUCKDB_V2_ERROR_IO_NETWORK
        | Code::DUCKDB_V2_ERROR_IO_HTTP => "58030",
        Code::DUCKDB_V2_ERROR_QUERY_PARAMETER_NOT_RESOLVED | Code::DUCKDB_V2_ERROR_QUERY_PARAMETER_NOT_ALLOWED => {
            "07001"
        }
        Code::DUCKDB_V2_ERROR_CONFIGURATION_PERMISSION => "42501",
        Code::DUCKDB_V2_ERROR_INPUT_INVALID | Code::DUCKDB_V2_ERROR_INPUT_PARAMETER_INVALID => "22000",
        _ => "XX000",
    }
}

#[cfg(test)]
mod tests {
    use super::storage_versions;

    #[test]
    fn a_few_storage_versions_are_named() {
        let list =
            "v9' is not a known DuckDB version, valid options are: v0.0.4, v0.1.0, v1.5.5, v1.5.6, v2.0.0, latest";
        let hint = storage_versions(list).expect("a hint");
        assert_eq!(hint, "choose latest, v2.0.0, v1.5.6, v1.5.5, or any from v0.0.4 to v2.0.0");
        assert_eq!(storage_versions("v9' is nothing that I know"), None);
    }
}
