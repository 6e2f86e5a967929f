//! What SQLite's locks mean, by the bytes that they are on.
//!
//! In the database file: PENDING, RESERVED and the SHARED range (sqlite.org/lockingv3.html). In the shared memory of a
//! database with a write-ahead log: a byte each to write, to checkpoint, to recover, five marks up to which somebody
//! reads, and one that everybody has who has it open (sqlite.org/walformat.html).

use std::fmt;

use super::{Access, Part};

/// The first of SQLite's bytes in the database file: PENDING; RESERVED is next, and then 510 for SHARED.
pub(super) const PENDING: u64 = 0x4000_0000;
const RESERVED: u64 = PENDING + 1;
const SHARED: u64 = PENDING + 2;
/// The last of them.
pub(super) const LAST: u64 = PENDING + 511;
/// The first of SQLite's bytes in the shared memory.
pub(super) const WAL_WRITE: u64 = 120;
const WAL_CHECKPOINT: u64 = 121;
const WAL_RECOVER: u64 = 122;
const WAL_READ: u64 = 123;
/// The last of them: whoever has the shared memory open has a lock there.
pub(super) const WAL_OPEN: u64 = 128;

/// What a process that uses SQLite has of a database, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SqliteLock {
    /// It has the write-ahead log open, and is in nobody's way.
    Open,
    /// It reads; with a write-ahead log it only has the database open.
    Shared,
    /// It reads from the write-ahead log, which cannot shrink meanwhile.
    LogReader,
    /// It brings the write-ahead log into the database.
    Checkpoint,
    /// It puts the write-ahead log in order after a crash.
    Recovery,
    /// It writes to the write-ahead log: no other may.
    LogWriter,
    /// It is about to write: no other may, and readers go on.
    Reserved,
    /// It wants to commit, and waits until the readers are done: no new ones come in.
    Pending,
    /// Nobody else may even read.
    Exclusive,
}

impl SqliteLock {
    /// What a lock from `first` to `last` is; `None`: none of SQLite's.
    pub(super) fn of(part: Part, access: Access, first: u64, last: Option<u64>) -> Option<Self> {
        let covers = |byte: u64| first <= byte && last.is_none_or(|last| last >= byte);
        let within = |from, to| first >= from && last.is_some_and(|last| last <= to);
        let writes = access == Access::Write;
        match part {
            Part::Database if within(PENDING, LAST) => Some(match access {
                Access::Write if covers(SHARED) => Self::Exclusive,
                Access::Write if covers(PENDING) => Self::Pending,
                Access::Write if covers(RESERVED) => Self::Reserved,
                _ => Self::Shared,
            }),
            Part::SharedMemory if within(WAL_WRITE, WAL_OPEN) => Some(if covers(WAL_WRITE) {
                Self::LogWriter
            } else if covers(WAL_RECOVER) {
                Self::Recovery
            } else if covers(WAL_CHECKPOINT) || (writes && first < WAL_OPEN) {
                // Who brings everything over takes the readers' marks for a moment.
                Self::Checkpoint
            } else if (WAL_READ..WAL_OPEN).contains(&first) {
                Self::LogReader
            } else {
                Self::Open
            }),
            _ => None,
        }
    }
}

impl fmt::Display for SqliteLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Shared => "shared",
            Self::LogReader => "a reader that keeps the WAL from shrinking",
            Self::Checkpoint => "checkpoint",
            Self::Recovery => "recovery",
            Self::LogWriter => "writer of the WAL",
            Self::Reserved => "reserved",
            Self::Pending => "pending",
            Self::Exclusive => "exclusive",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_told_by_their_bytes() {
        use Access::{Read, Write};
        for (part, access, first, last, expected) in [
            (Part::Database, Read, SHARED, Some(LAST), Some(SqliteLock::Shared)),
            (Part::Database, Read, PENDING, Some(PENDING), Some(SqliteLock::Shared)),
            (Part::Database, Write, RESERVED, Some(RESERVED), Some(SqliteLock::Reserved)),
            (Part::Database, Write, PENDING, Some(RESERVED), Some(SqliteLock::Pending)),
            (Part::Database, Write, PENDING, Some(LAST), Some(SqliteLock::Exclusive)),
            (Part::Database, Write, 0, None, None),
            (Part::SharedMemory, Read, WAL_OPEN, Some(WAL_OPEN), Some(SqliteLock::Open)),
            (Part::SharedMemory, Read, 124, Some(124), Some(SqliteLock::LogReader)),
            // Neighbours of one holder are told as one.
            (Part::SharedMemory, Read, 127, Some(128), Some(SqliteLock::LogReader)),
            (Part::SharedMemory, Write, 120, Some(120), Some(SqliteLock::LogWriter)),
            (Part::SharedMemory, Write, 121, Some(121), Some(SqliteLock::Checkpoint)),
            (Part::SharedMemory, Write, 124, Some(127), Some(SqliteLock::Checkpoint)),
            (Part::SharedMemory, Write, 120, Some(122), Some(SqliteLock::LogWriter)),
            (Part::SharedMemory, Write, 122, Some(122), Some(SqliteLock::Recovery)),
            (Part::Wal, Write, 120, Some(120), None),
        ] {
            assert_eq!(SqliteLock::of(part, access, first, last), expected, "{part:?} {access:?} {first} {last:?}");
        }
        assert!(SqliteLock::Exclusive > SqliteLock::Pending && SqliteLock::LogReader > SqliteLock::Shared);
    }
}
