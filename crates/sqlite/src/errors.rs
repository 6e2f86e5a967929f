//! From SQLite's result codes to typed errors.

use std::path::Path;

use dbmux_engine::EngineError;
use rusqlite::ffi as code;

use crate::ffi::Failure;

/// What a statement, or an opening, ended with.
pub(crate) fn of(failure: &Failure, path: &Path) -> EngineError {
    let message = failure.message.clone();
    let path = path.to_owned();
    match failure.code {
        code::SQLITE_BUSY_SNAPSHOT => EngineError::Conflict {
            message: "another program changed the database after this transaction began to read: redo the transaction"
                .to_owned(),
        },
        code::SQLITE_READONLY_DBMOVED => {
            EngineError::FileLost { path, message: "it was moved or deleted while it was open".to_owned() }
        }
        code::SQLITE_CANTOPEN_ISDIR => not_a_database(&path, "a directory"),
        extended => match extended & 0xff {
            code::SQLITE_BUSY | code::SQLITE_LOCKED | code::SQLITE_PROTOCOL => EngineError::Locked { path, message },
            code::SQLITE_CONSTRAINT => EngineError::Sql { message, sqlstate: constraint(extended) },
            code::SQLITE_INTERRUPT => EngineError::Interrupted,
            code::SQLITE_FULL => EngineError::DiskFull { message },
            code::SQLITE_NOMEM => EngineError::OutOfMemory { message },
            code::SQLITE_READONLY => EngineError::ReadOnly { message },
            code::SQLITE_NOTADB => not_a_database(&path, "a file of another kind, or encrypted"),
            code::SQLITE_CORRUPT => EngineError::Damaged {
                path,
                message,
                hint: "look at it with `PRAGMA integrity_check`, and save what can be read with the sqlite3 shell's \
                       `.recover`",
            },
            code::SQLITE_PERM | code::SQLITE_CANTOPEN => EngineError::PermissionDenied { path, message },
            code::SQLITE_IOERR => EngineError::Io { path, message },
            code::SQLITE_TOOBIG => EngineError::Sql { message, sqlstate: "54000" },
            code::SQLITE_MISMATCH => EngineError::Sql { message, sqlstate: "42804" },
            code::SQLITE_RANGE => EngineError::Sql { message, sqlstate: "07001" },
            code::SQLITE_AUTH => EngineError::Refused { what: message, why: "it could harm others".to_owned() },
            code::SQLITE_INTERNAL | code::SQLITE_MISUSE => EngineError::Internal { message },
            _ => EngineError::Sql { sqlstate: by_words(&message), message },
        },
    }
}

/// A file that is something else.
pub(crate) fn not_a_database(path: &Path, what: &str) -> EngineError {
    EngineError::NotADatabase { path: path.to_owned(), engine: "SQLite", message: format!("it is {what}"), hint: "" }
}

/// A statement that is at fault.
pub(crate) fn sql(message: impl Into<String>, sqlstate: &'static str) -> EngineError {
    EngineError::Sql { message: message.into(), sqlstate }
}

fn constraint(extended: i32) -> &'static str {
    match extended {
        code::SQLITE_CONSTRAINT_UNIQUE | code::SQLITE_CONSTRAINT_PRIMARYKEY | code::SQLITE_CONSTRAINT_ROWID => "23505",
        code::SQLITE_CONSTRAINT_NOTNULL => "23502",
        code::SQLITE_CONSTRAINT_FOREIGNKEY => "23503",
        code::SQLITE_CONSTRAINT_CHECK => "23514",
        code::SQLITE_CONSTRAINT_DATATYPE => "42804",
        _ => "23000",
    }
}

/// SQLite has one code for what a text may have wrong, and says the rest in words.
fn by_words(message: &str) -> &'static str {
    let has = |words: &str| message.contains(words);
    if has("syntax error") || has("unrecognized token") || has("incomplete input") || has("unterminated") {
        "42601"
    } else if has("no such table") || has("no such view") || has("no such index") || has("no such module") {
        "42P01"
    } else if has("no such column") || has("has no column named") {
        "42703"
    } else if has("ambiguous column") {
        "42702"
    } else if has("no such function") || has("wrong number of arguments") {
        "42883"
    } else if has("already exists") {
        "42P07"
    } else if has("no transaction is active") || has("no such savepoint") {
        "25P01"
    } else if has("within a transaction") {
        "25001"
    } else if has("integer overflow") {
        "22003"
    } else if has("malformed JSON") {
        "22032"
    } else {
        ""
    }
}
