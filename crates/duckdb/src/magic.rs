//! What a file is, by its first bytes.

/// How many bytes tell.
pub(crate) const LENGTH: usize = 16;

/// What a file is that is no DuckDB database; `None`: it is one, or it is empty, which becomes one.
pub(crate) fn foreign(start: &[u8]) -> Option<&'static str> {
    let is = |magic: &[u8]| start.starts_with(magic);
    if start.is_empty() || start.get(8..12) == Some(b"DUCK") {
        None
    } else if is(b"SQLite format 3\0") {
        Some("an SQLite database")
    } else if is(b"PAR1") {
        Some("a Parquet file")
    } else if is(b"ARROW1") {
        Some("an Arrow file")
    } else if is(b"\x1f\x8b") {
        Some("a gzip file")
    } else if is(b"PK\x03\x04") {
        Some("a zip file")
    } else if start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
        Some("a text file")
    } else {
        Some("a file of another kind")
    }
}

#[cfg(test)]
mod tests {
    use super::foreign;

    #[test]
    fn files_are_told_apart() {
        assert_eq!(foreign(b""), None);
        assert_eq!(foreign(b"12345678DUCK\0\0\0\0"), None);
        assert_eq!(foreign(b"SQLite format 3\0"), Some("an SQLite database"));
        assert_eq!(foreign(b"PAR1\x15\x04"), Some("a Parquet file"));
        assert_eq!(foreign(b"a,b\n1,2\n"), Some("a text file"));
        assert_eq!(foreign(b"\x7fELF"), Some("a file of another kind"));
    }
}
