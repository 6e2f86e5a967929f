//! What a file is, by its first bytes.

/// How many bytes tell.
pub const LENGTH: usize = 16;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// It has no bytes: it may become anything.
    Empty,
    /// A database of DuckDB.
    DuckDb,
    /// A database of SQLite.
    Sqlite,
    /// Something else, as a person would say it.
    Other(&'static str),
}

impl FileKind {
    /// By the first [`LENGTH`] bytes, or as many as there are.
    pub fn of(start: &[u8]) -> Self {
        let is = |magic: &[u8]| start.starts_with(magic);
        if start.is_empty() {
            Self::Empty
        } else if start.get(8..12) == Some(b"DUCK") {
            Self::DuckDb
        } else if is(b"SQLite format 3\0") {
            Self::Sqlite
        } else if is(b"PAR1") {
            Self::Other("a Parquet file")
        } else if is(b"ARROW1") {
            Self::Other("an Arrow file")
        } else if is(b"\x1f\x8b") {
            Self::Other("a gzip file")
        } else if is(b"PK\x03\x04") {
            Self::Other("a zip file")
        } else if start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
            Self::Other("a text file")
        } else {
            Self::Other("a file of another kind")
        }
    }

    /// As a person would say it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Empty => "an empty file",
            Self::DuckDb => "a DuckDB database",
            Self::Sqlite => "an SQLite database",
            Self::Other(title) => title,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FileKind;

    #[test]
    fn files_are_told_apart() {
        assert_eq!(FileKind::of(b""), FileKind::Empty);
        assert_eq!(FileKind::of(b"12345678DUCK\0\0\0\0"), FileKind::DuckDb);
        assert_eq!(FileKind::of(b"SQLite format 3\0"), FileKind::Sqlite);
        assert_eq!(FileKind::of(b"PAR1\x15\x04"), FileKind::Other("a Parquet file"));
        assert_eq!(FileKind::of(b"a,b\n1,2\n"), FileKind::Other("a text file"));
        assert_eq!(FileKind::of(b"\x7fELF"), FileKind::Other("a file of another kind"));
    }
}
