//! What a file is, by its first bytes; what a directory is, by what is in it.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

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

/// Behind the name of a table's directory, in a database of LanceDB's.
pub const LANCE_TABLE: &str = "lance";

/// Whether a new database of this name is LanceDB's, where nobody says otherwise: `.lance`, `.lancedb`.
pub fn may_become_lance(path: &Path) -> bool {
    let is = |name: &str| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(name));
    is(LANCE_TABLE) || is("lancedb")
}

/// What a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryKind {
    /// There is nothing in it but hidden files: it may become a database.
    Empty,
    /// A database of LanceDB: there are tables in it.
    Lance,
    /// One table of such a database.
    LanceTable,
    /// Something else.
    Other,
}

impl DirectoryKind {
    /// By what is in a directory.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(directory: &Path) -> io::Result<Self> {
        if directory.join("_versions").is_dir() {
            return Ok(Self::LanceTable);
        }
        let mut kind = Self::Empty;
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if is_table(&entry.path()) {
                return Ok(Self::Lance);
            }
            if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                kind = Self::Other;
            }
        }
        Ok(kind)
    }
}

/// The directories of the tables in a database of LanceDB's.
///
/// # Errors
/// When it cannot be read.
pub fn lance_tables(database: &Path) -> io::Result<Vec<PathBuf>> {
    let entries: Vec<_> =
        fs::read_dir(database)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    Ok(entries.into_iter().filter(|entry| is_table(entry)).collect())
}

/// A directory by its name, that is not a database itself.
fn is_table(entry: &Path) -> bool {
    let named = entry.extension() == Some(OsStr::new(LANCE_TABLE)) && entry.is_dir();
    named
        && (PARTS.iter().any(|part| entry.join(part).is_dir())
            || DirectoryKind::of(entry).ok() == Some(DirectoryKind::Empty))
}

/// The directories that a table may have before it has a version.
const PARTS: [&str; 3] = ["_versions", "_transactions", "data"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_told_apart() {
        let folder = tempfile::tempdir().expect("a directory");
        let of = |name: &str, inside: &str| {
            fs::create_dir_all(folder.path().join(name).join(inside)).expect("a directory");
            DirectoryKind::of(&folder.path().join(name)).expect("it can be read")
        };
        assert_eq!(of("empty", ""), DirectoryKind::Empty);
        assert_eq!(of("hidden", ".git"), DirectoryKind::Empty);
        assert_eq!(of("a.lancedb", "chunks.lance/_versions"), DirectoryKind::Lance);
        assert_eq!(of("a.lancedb", "other"), DirectoryKind::Lance);
        assert_eq!(of("a.lancedb/chunks.lance", "data"), DirectoryKind::LanceTable);
        assert_eq!(of("other", "things"), DirectoryKind::Other);
        assert_eq!(of("sources", "code.lance/chunks.lance/_versions"), DirectoryKind::Other, "a database is in it");
        assert_eq!(lance_tables(&folder.path().join("a.lancedb")).expect("it can be read").len(), 1);
        assert!(DirectoryKind::of(&folder.path().join("nothing")).is_err());
    }

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
