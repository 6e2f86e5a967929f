//! The locks' own words, as clients see them.

use std::{io, path::Path};

use dbmux_engine::{ErrorCode, Holder, ServiceError};
use dbmux_lock::{Lock, LockError, LockName, Mode, TicketInfo};
use dbmux_os::{OsError, process};
use dbmux_proto::HolderKind;

use crate::errors;

/// Why a lock of this database could not be had.
pub(crate) fn error(error: &LockError, database: &Path) -> ServiceError {
    let mut service = match error {
        LockError::TimedOut { holder, ahead, waited, .. } => timed_out(holder.as_deref(), *ahead, *waited, database),
        other => ServiceError::new(code(other), other.to_string()).suggest(other.suggestion()),
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

/// Who has the file lock, where that is not this broker: only leases and brokers take it, and there is one broker.
pub(crate) fn lease(ticket: &TicketInfo) -> Holder {
    let mut holder = holder(ticket);
    if ticket.same_namespace {
        holder.set_kind(HolderKind::Lease);
    }
    "lease".clone_into(&mut holder.part);
    holder
}

/// The leases on a database that are out: one, or none.
pub(crate) fn leases(database: &Path) -> Vec<TicketInfo> {
    match Lock::peek(&dbmux_lock::sidecar_path(database), LockName::File) {
        Ok(Some(lock)) => {
            let ours = process::own().id;
            lock.holders.into_iter().filter(|ticket| !(ticket.same_namespace && ticket.process == ours)).collect()
        }
        Ok(None) => Vec::new(),
        Err(error) => {
            tracing::warn!(%error, "cannot see who has the file lock");
            Vec::new()
        }
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
        LockError::System(OsError::NotPrivate { .. }) => ErrorCode::PermissionDenied,
        LockError::Open { .. } | LockError::Table { .. } | LockError::System(_) => system(error.io_kind()),
    }
}

fn system(kind: Option<io::ErrorKind>) -> ErrorCode {
    match kind {
        Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => ErrorCode::PermissionDenied,
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => ErrorCode::DiskFull,
        Some(io::ErrorKind::NotFound) => ErrorCode::NoSuchDatabase,
        _ => ErrorCode::Internal,
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
