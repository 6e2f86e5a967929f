//! What the lock stands on: a gate, one byte a ticket, and a sleep on somebody else's byte.
//!
//! By default byte-range locks that belong to an open file; with the feature `portable`, one file a ticket. A [`Ground`]
//! is one acquisition's own: closing it, or the end of its process, gives everything back.

#[cfg(not(feature = "portable"))]
mod bytes;
#[cfg(feature = "portable")]
mod files;

use std::path::Path;

#[cfg(not(feature = "portable"))]
pub(crate) use bytes::Ground;
#[cfg(feature = "portable")]
pub(crate) use files::Ground;

use crate::{LockError, table::REGION_SIZE};

/// Opens the table's file, and makes it where it is missing.
pub(crate) fn open_table(path: &Path, make: bool) -> Result<std::fs::File, LockError> {
    use std::os::unix::fs::OpenOptionsExt;
    let opened = std::fs::OpenOptions::new().read(true).write(true).create(make).truncate(false).mode(0o666).open(path);
    opened.map_err(|source| LockError::Open { path: path.to_owned(), source })
}

/// Device and inode of an open file: whether a path still names it.
fn identity(file: &std::fs::File, path: &Path) -> Result<(u64, u64), LockError> {
    use std::os::unix::fs::MetadataExt;
    let found = file.metadata().map_err(|source| LockError::Open { path: path.to_owned(), source })?;
    Ok((found.dev(), found.ino()))
}

/// Where a region's table begins in the file.
pub(crate) fn table_offset(region: u8) -> u64 {
    u64::from(region) * REGION_SIZE as u64
}
