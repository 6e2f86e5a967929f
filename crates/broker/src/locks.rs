//! The locks' own words, as clients see them.

use std::{io, path::Path};

use dbmux_engine::{ErrorCode, Holder, ServiceError};
use dbmux_lock::{LockError, Mode, TicketInfo};
use dbmux_os::OsError;
use dbmux_proto::HolderKind;

use crate::errors;

/// Why a lock of this database could not be had.
pub(crate) fn error(error: &LockError, database: &Path) -> ServiceError {
    let mut service = match error {
        LockError::TimedOut { holder, ahead, waited, .. } => timed_out(holder.as_deref(), *ahead, *waited, database),
        other => ServiceError::new(code(other), other.to_string()).suggest(suggestion(other)),
    };
    service.0.db_path = database.display().to_string();
    service
}

/// Who has a lock.
pub(crate) fn holder(ticket: &TicketInfo) -> Holder {
    let kind = if ticket.same_namespace { HolderKind::Process } else { HolderKind::OtherNamespace };
    Holder {
        kind: kind.into(),
        pid: if ticket.same_namespace { ticket.process.pid } else { 0 },
        command: ticket.command.clone(),
        user: ticket.user.clone().unwrap_or_default(),
        since: errors::rfc3339(ticket.since),
        held_ms: errors::millis(ticket.age()),
        writes: ticket.mode == Mode::Exclusive,
        part: "lock".to_owned(),
        stopped: ticket.stopped,
        ..Holder::default()
    }
}

fn timed_out(ticket: Option<&TicketInfo>, ahead: usize, waited: std::time::Duration, database: &Path) -> ServiceError {
    let name = database.file_name().unwrap_or(database.as_os_str()).to_string_lossy();
    let mut error = ServiceError::new(ErrorCode::DatabaseLocked, format!("{name} is in use"))
        .held_by(ticket.map(holder))
        .suggest("wait longer, or end the process that has the file");
    error.0.ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
    error.0.waited_ms = errors::millis(waited);
    error
}

fn code(error: &LockError) -> ErrorCode {
    match error {
        LockError::TimedOut { .. } | LockError::GateHeld { .. } => ErrorCode::DatabaseLocked,
        LockError::Full { .. } => ErrorCode::QueueFull,
        LockError::Cancelled { .. } => ErrorCode::Cancelled,
        LockError::NetworkFileSystem { .. } => ErrorCode::NetworkFileSystem,
        LockError::Replaced { .. } | LockError::Emptied { .. } => ErrorCode::FileLost,
        LockError::NotALock { .. } | LockError::Format { .. } | LockError::Name { .. } => ErrorCode::InvalidArgument,
        LockError::Open { source, .. } | LockError::Table { source, .. } => system(source),
        LockError::System(OsError::Path { source, .. } | OsError::Call { source, .. }) => system(source),
        LockError::System(OsError::NotPrivate { .. }) => ErrorCode::PermissionDenied,
        LockError::System(_) => ErrorCode::Internal,
    }
}

fn system(error: &io::Error) -> ErrorCode {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorCode::PermissionDenied,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::DiskFull,
        io::ErrorKind::NotFound => ErrorCode::NoSuchDatabase,
        _ => ErrorCode::Internal,
    }
}

/// What to do; empty where nothing true can be said.
fn suggestion(error: &LockError) -> &'static str {
    match error {
        LockError::NetworkFileSystem { .. } => "run it on the machine where the file is: ssh HOST dbmux …",
        LockError::Full { .. } => "try again later",
        LockError::GateHeld { .. } => "let the stopped process go on, or end it",
        LockError::NotALock { .. } => "dbmux keeps its locks there: move away what it is now, and try again",
        LockError::Replaced { .. } => "the file for dbmux's locks must stay where it is: try again",
        LockError::Emptied { .. } => "end whatever holds the locks (`dbmux stop`), and try again",
        LockError::Format { .. } => "use the same version of dbmux everywhere",
        LockError::Open { source, .. } if system(source) == ErrorCode::PermissionDenied => {
            "dbmux keeps its locks in a file beside the database, and must be allowed to make it there"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_the_code_that_tells_what_to_do() {
        let path = || "/data/a.duckdb.dbmux".into();
        let open = |kind: io::ErrorKind| LockError::Open { path: path(), source: kind.into() };
        for (found, code) in [
            (LockError::NetworkFileSystem { path: path(), file_system: "nfs" }, ErrorCode::NetworkFileSystem),
            (LockError::Full { path: path(), limit: 1000 }, ErrorCode::QueueFull),
            (open(io::ErrorKind::PermissionDenied), ErrorCode::PermissionDenied),
            (open(io::ErrorKind::ReadOnlyFilesystem), ErrorCode::PermissionDenied),
            (open(io::ErrorKind::StorageFull), ErrorCode::DiskFull),
        ] {
            let error = error(&found, Path::new("/data/a.duckdb"));
            assert_eq!(error.code(), code, "{found}");
            assert_eq!(error.0.db_path, "/data/a.duckdb");
            assert!(!error.0.message.is_empty());
        }
    }
}
