//! What the lock stands on: a gate, one byte a ticket, and a sleep on somebody else's byte.
//!
//! By default byte-range locks that belong to an open file; with the feature `portable`, one file a ticket. A [`Ground`]
//! is one acquisition's own: closing it, or the end of its process, gives everything back.

#[cfg(not(feature = "portable"))]
mod bytes;
#[cfg(feature = "portable")]
mod files;

use std::{fs::File, io, path::Path};

#[cfg(not(feature = "portable"))]
pub(crate) use bytes::Ground;
#[cfg(feature = "portable")]
pub(crate) use files::Ground;

use dbmux_os::access_time;

use crate::{sidecar, table::REGION_SIZE};

/// How the table's file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenTo {
    /// To take the lock; made where it is missing.
    Use,
    /// To take the lock, where it is there.
    UseIfThere,
    /// To be looked at only.
    LookAt,
}

fn open_table(path: &Path, how: OpenTo) -> io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(how != OpenTo::LookAt);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && how == OpenTo::Use => sidecar::make(path, &options),
        opened => opened,
    }
    .inspect(access_time::leave_alone)
}

/// Where a region's table begins in the file.
pub(crate) fn table_offset(region: u8) -> u64 {
    u64::from(region) * REGION_SIZE as u64
}
