//! Whether a path may be served: by its first bytes, before anything has it open.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use dbmux_engine::EngineError;

use crate::errors;

const MAGIC: &[u8] = b"SQLite format 3\0";

/// Refuses a path that cannot be served: a file of another kind, one with more than one name, or a file that belongs to
/// another database. One that is not there, or is empty, may become a database.
///
/// Only while this process has not attached it: closing a file drops the locks that SQLite has on it.
///
/// # Errors
/// [`EngineError::NotADatabase`] with what it is instead; [`EngineError::Refused`] where it has other names, or belongs to
/// another database; whatever the system says where it cannot be read.
pub fn check_kind(path: &Path) -> Result<(), EngineError> {
    check_names(path)?;
    let mut start = Vec::new();
    match File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start)) {
        Ok(_) => foreign(&start).map_or(Ok(()), |what| Err(errors::not_a_database(path, what))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Err(errors::not_a_database(path, "a directory")),
        Err(error) => Err(unusable(path, &error)),
    }
}

/// Two names of a database would have two logs: rows that are in the log of one are not there by the other.
fn check_names(path: &Path) -> Result<(), EngineError> {
    let refused = |why: String| EngineError::Refused { what: format!("opening {}", path.display()), why };
    let found = fs::metadata(path).ok();
    if found.as_ref().is_some_and(fs::Metadata::is_dir) {
        return Err(errors::not_a_database(path, "a directory"));
    }
    let names = found.filter(fs::Metadata::is_file).map_or(1, |found| found.nlink());
    if names > 1 {
        return Err(refused(format!(
            "the file has {names} names (hard links), and each would have a log and an owner of its own: remove all names \
             but one, and copy the file instead of linking it"
        )));
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name.ends_with(".dbmux") {
        return Err(refused("names with .dbmux are those of dbmux's locks".to_owned()));
    }
    for suffix in ["-wal", "-shm", "-journal"] {
        let owner = name.strip_suffix(suffix).map(|name| path.with_file_name(name));
        if owner.is_some_and(|owner| owner.is_file()) {
            return Err(refused("it is the name of another database's log: open that database".to_owned()));
        }
    }
    Ok(())
}

/// What a file is that is no SQLite database; `None`: it is one, or it is empty, which becomes one.
fn foreign(start: &[u8]) -> Option<&'static str> {
    let is = |magic: &[u8]| start.starts_with(magic);
    if start.is_empty() || is(MAGIC) {
        None
    } else if start.get(8..12) == Some(b"DUCK") {
        Some("a DuckDB database")
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

/// What the system says of a file, typed.
pub(crate) fn unusable(path: &Path, error: &io::Error) -> EngineError {
    let (path, message) = (path.to_owned(), error.to_string());
    match error.kind() {
        io::ErrorKind::NotFound => EngineError::NotFound { path },
        io::ErrorKind::PermissionDenied => EngineError::PermissionDenied { path, message },
        io::ErrorKind::StorageFull => EngineError::DiskFull { message },
        _ => EngineError::Io { path, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart() {
        assert_eq!(foreign(b""), None);
        assert_eq!(foreign(b"SQLite format 3\0"), None);
        assert_eq!(foreign(b"12345678DUCK\0\0\0\0"), Some("a DuckDB database"));
        assert_eq!(foreign(b"PAR1\x15\x04"), Some("a Parquet file"));
        assert_eq!(foreign(b"a,b\n1,2\n"), Some("a text file"));
        assert_eq!(foreign(b"\x7fELF"), Some("a file of another kind"));
    }
}
