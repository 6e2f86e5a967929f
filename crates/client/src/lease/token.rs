//! How a process knows that it runs inside of a lease.
//!
//! A process that works under a lease is told the numbers of its tickets. Nobody is let in because of what he was told: the
//! lock's own table must have that very ticket, granted, and as its owner this process or one that it was started by.
//! Whoever sets the variable by hand gains nothing.

use std::path::Path;

use dbmux_lock::{Lock, LockName, TicketNumber, sidecar_path};
use dbmux_os::{file_id::FileId, process, runtime};

use super::line::lock_error;
use crate::{ClientError, connect::canonical};

/// Between the tokens of several leases.
const SEPARATOR: char = ',';

/// Whether this process runs inside of a lease on this database: it may open the file, and whoever has the lease waits for
/// it.
///
/// # Errors
/// When the path cannot be that of a database, or the lock's table cannot be read.
pub fn leased_around(database: impl AsRef<Path>) -> Result<bool, ClientError> {
    is_inside(&canonical(database.as_ref())?)
}

/// The same, of a canonical path.
pub(super) fn is_inside(database: &Path) -> Result<bool, ClientError> {
    let sidecar = sidecar_path(database);
    let Some(told) = runtime::inherited_leases() else { return Ok(false) };
    let Ok(file) = FileId::of_path(&sidecar) else { return Ok(false) };
    let numbers: Vec<_> = told.split(SEPARATOR).filter_map(|token| number(token, file)).collect();
    if numbers.is_empty() {
        return Ok(false);
    }
    let lock = Lock::peek(&sidecar, LockName::File).map_err(|error| lock_error(&error, database))?;
    let holders = lock.map(|lock| lock.holders).unwrap_or_default();
    let around = |number, owner| numbers.contains(&number) && process::runs_inside(owner);
    Ok(holders.iter().any(|ticket| ticket.same_namespace && around(ticket.number, ticket.process)))
}

/// The token of one ticket: its number, and the file that has its table.
pub(super) fn token(ticket: TicketNumber, sidecar: FileId) -> String {
    format!("{}@{}:{}", ticket.0, sidecar.device, sidecar.inode)
}

fn number(token: &str, sidecar: FileId) -> Option<TicketNumber> {
    let (number, place) = token.split_once('@')?;
    let (device, inode) = place.split_once(':')?;
    let named = FileId { device: device.parse().ok()?, inode: inode.parse().ok()? };
    (named == sidecar).then(|| number.parse().ok().map(TicketNumber)).flatten()
}

/// What those are told that run inside of these leases: and of those that we run inside of ourselves.
pub(super) fn told(tokens: impl IntoIterator<Item = String>) -> String {
    let all: Vec<_> = runtime::inherited_leases().into_iter().chain(tokens).collect();
    all.join(&SEPARATOR.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_ticket_in_one_file() {
        let file = FileId { device: 3, inode: 44 };
        let token = token(TicketNumber(7), file);
        assert_eq!(number(&token, file), Some(TicketNumber(7)));
        assert_eq!(number(&token, FileId { device: 3, inode: 45 }), None);
        for nonsense in ["", "7", "7@", "7@3", "@3:44", "x@3:44", "7@3:44:5", "-1@3:44"] {
            assert_eq!(number(nonsense, file), None, "{nonsense}");
        }
    }
}
