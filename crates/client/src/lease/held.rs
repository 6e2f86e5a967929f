//! A lease that is held.

use std::{
    fmt,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::Command,
};

use dbmux_lock::{Guard, ProcessId, sidecar_path};
use dbmux_os::{file_id::FileId, runtime::LEASE_VARIABLE};

use super::{line::lock_error, token};
use crate::ClientError;

/// Database files that are this process's; given back when this is dropped, and by the end of the process and of those
/// with which it is shared. Brokers attach again at the next statement.
#[must_use = "the files are given back when the lease is dropped"]
pub struct Lease {
    held: Vec<Held>,
    /// Those that were not asked for: a lease around this process has them.
    around: Vec<PathBuf>,
    notices: Vec<String>,
}

pub(super) struct Held {
    pub(super) database: PathBuf,
    pub(super) guard: Guard,
}

impl Lease {
    pub(super) fn new(held: Vec<Held>, around: Vec<PathBuf>, notices: Vec<String>) -> Self {
        Self { held, around, notices }
    }

    /// The databases that this lease has taken, canonical.
    pub fn databases(&self) -> impl Iterator<Item = &Path> {
        self.held.iter().map(|held| held.database.as_path())
    }

    /// The databases that were asked for and are those of a lease that this process runs inside of.
    pub fn around(&self) -> impl Iterator<Item = &Path> {
        self.around.iter().map(PathBuf::as_path)
    }

    /// What people should know: why those wait who read, where [`super::Reads::Snapshot`] was asked for.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Gives the lease to the process that this command starts as well, and to those to which that leaves its open files:
    /// should this one be killed, the lease lives as long as they do. They know that they run inside of it.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub fn share_with(&self, command: &mut Command) -> Result<(), ClientError> {
        for held in &self.held {
            held.guard.share_with(command).map_err(|error| lock_error(&error, &held.database))?;
        }
        let (name, value) = self.environment();
        command.env(name, value);
        Ok(())
    }

    /// The variable, and its value, by which a process that this one starts knows that it runs inside of this lease. For
    /// [`super::leased_around`], which believes it only where the lock's own table says the same.
    pub fn environment(&self) -> (&'static str, String) {
        let tokens = self.held.iter().filter_map(|held| {
            let file = FileId::of_path(&sidecar_path(&held.database)).ok()?;
            Some(token::token(held.guard.ticket(), file))
        });
        (LEASE_VARIABLE, token::told(tokens))
    }

    /// Shows another process as the one who has the files: one that works under the lease.
    ///
    /// # Errors
    /// When a lock's table cannot be written.
    pub fn show_as(&mut self, process: ProcessId) -> Result<(), ClientError> {
        for held in &mut self.held {
            held.guard.show_as(process).map_err(|error| lock_error(&error, &held.database))?;
        }
        Ok(())
    }

    /// Second descriptors of what holds the locks, for a process that runs already: should this one be killed, the lease
    /// lives as long as that one keeps them. Dropping the lease gives it back for all of them.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub fn descriptors(&self) -> Result<Vec<OwnedFd>, ClientError> {
        let descriptor = |held: &Held| held.guard.descriptor().map_err(|error| lock_error(&error, &held.database));
        self.held.iter().map(descriptor).collect()
    }

    /// Whether others still see this lease.
    ///
    /// # Errors
    /// When somebody deleted, replaced or emptied the file with a database's locks: others may have had the database too.
    pub fn verify(&self) -> Result<(), ClientError> {
        self.held.iter().try_for_each(|held| held.guard.verify().map_err(|error| lock_error(&error, &held.database)))
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.databases()).finish()
    }
}
