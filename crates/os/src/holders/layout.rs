//! Whose way of locking a lock's range is.

use super::{Part, sqlite};

/// Where dbmux's own lock is cut in two: a POSIX lock below, an OFD lock above.
pub(super) const CUT: u64 = 1 << 62;

/// Whose way of locking it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The whole file, as DuckDB does; or one of the two halves that dbmux makes of it.
    DuckDb,
    /// Some of SQLite's bytes.
    Sqlite,
    /// Something else.
    Other,
}

impl Layout {
    /// The layout of a lock from `first` to `last`; `None`: to the end, however long the file grows.
    pub(super) fn of(part: Part, first: u64, last: Option<u64>) -> Self {
        let within = |from, to| first >= from && last.is_some_and(|last| last <= to);
        match part {
            Part::SharedMemory if within(sqlite::WAL_WRITE, sqlite::WAL_OPEN) => Self::Sqlite,
            Part::Database if within(sqlite::PENDING, sqlite::LAST) => Self::Sqlite,
            Part::Database | Part::Wal if first == 0 && last.is_none_or(|last| last >= CUT - 1) => Self::DuckDb,
            Part::Database | Part::Wal if first == CUT && last.is_none() => Self::DuckDb,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_duckdb_from_sqlite() {
        assert_eq!(Layout::of(Part::Database, 0, None), Layout::DuckDb);
        assert_eq!(Layout::of(Part::Wal, 0, None), Layout::DuckDb);
        assert_eq!(Layout::of(Part::Database, 0, Some(CUT - 1)), Layout::DuckDb);
        assert_eq!(Layout::of(Part::Database, CUT, None), Layout::DuckDb);
        assert_eq!(Layout::of(Part::Database, sqlite::PENDING + 2, Some(sqlite::LAST)), Layout::Sqlite);
        assert_eq!(Layout::of(Part::SharedMemory, 123, Some(123)), Layout::Sqlite);
        assert_eq!(Layout::of(Part::Database, 5, Some(9)), Layout::Other);
    }
}
