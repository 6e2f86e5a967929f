//! A copy of the file that answers in its stead, while somebody else has the file.
//!
//! The copy is put in the file's place under the file's name, in one step: a statement finds the one or the other, and
//! whoever has begun to read the file goes on with it. Which of the two a statement reads is asked of its own transaction,
//! not of the clock: between a statement's arrival and its first look at a table, the one may take the other's place.
//!
//! The copy has no name of its own: it is opened by its descriptor, which is ours, and is gone with it.

use std::{
    fs::File,
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::SystemTime,
};

use parking_lot::Mutex;

use crate::ffi::{Connection, Failure, Instance, Protection, Replacement};

/// Copies of which it is known when they were made, the newest: a transaction reads its own for as long as it is open, and
/// none is open for so many leases.
const KNOWN: usize = 4096;

/// The copies of one database file.
#[derive(Default)]
pub(crate) struct Snapshots {
    present: Mutex<Option<Present>>,
    /// Their numbers in DuckDB, and as of when they are true.
    made: Mutex<Vec<(u64, SystemTime)>>,
    /// There has been one: statements need not ask before.
    any: AtomicBool,
}

/// The copy that answers now.
struct Present {
    as_of: SystemTime,
    /// No statement of a client writes to it.
    _protection: Protection,
}

impl Snapshots {
    /// Puts a copy in the place of the database of this name.
    pub(crate) fn begin(&self, instance: &Instance, name: &str, copy: &File, as_of: SystemTime) -> Result<(), Failure> {
        let path = format!("/proc/self/fd/{}", copy.as_raw_fd());
        let protection = Protection::of(&PathBuf::from(&path));
        let found = copy.metadata().ok().map(|found| (found.dev(), found.ino()));
        protection.attached(found);
        let copy = Replacement { path: &path, storage_version: None, read_only: true, tracked: false };
        // Held meanwhile: no statement may look for a number that is not known yet.
        let mut made = self.made.lock();
        self.any.store(true, Ordering::Release);
        let number = instance.replace(name, &copy)?;
        made.push((number, as_of));
        let surplus = made.len().saturating_sub(KNOWN);
        made.drain(..surplus);
        drop(made);
        *self.present.lock() = Some(Present { as_of, _protection: protection });
        Ok(())
    }

    /// It answers no more: something else has its place, or nothing.
    pub(crate) fn end(&self) {
        *self.present.lock() = None;
    }

    /// As of when the copy is true that answers now.
    pub(crate) fn as_of(&self) -> Option<SystemTime> {
        self.present.lock().as_ref().map(|present| present.as_of)
    }

    /// There has been a copy.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// As of when that is true which the connection's transaction reads; `None`: it reads the file, or nothing.
    pub(crate) fn read_by(&self, connection: &Connection, name: &str) -> Option<SystemTime> {
        if !self.any() {
            return None;
        }
        let number = connection.source(name)?;
        self.made.lock().iter().rev().find(|(made, _)| *made == number).map(|(_, as_of)| *as_of)
    }
}
