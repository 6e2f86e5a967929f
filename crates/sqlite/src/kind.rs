//! Whether a path may be served: by its first bytes, before anything has it open.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use dbmux_engine::EngineError;
use dbmux_os::{
    file_kind::{self, FileKind},
    theirs,
};

use crate::errors;

/// Behind a database's name: SQLite's logs.
const LOGS: [&str; 3] = ["-wal", "-shm", "-journal"];

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
    match File::open(path).and_then(|file| file.take(file_kind::LENGTH as u64).read_to_end(&mut start)) {
        Ok(_) => match FileKind::of(&start) {
            FileKind::Sqlite | FileKind::Empty => Ok(()),
            other => Err(errors::not_a_database(path, other.title())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Err(errors::not_a_database(path, "a directory")),
        Err(error) => Err(unusable(path, &error)),
    }
}

/// What belongs to another database is none.
fn check_names(path: &Path) -> Result<(), EngineError> {
    if path.is_dir() {
        return Err(errors::not_a_database(path, "a directory"));
    }
    let refused = |why| Err(EngineError::Refused { what: format!("opening {}", path.display()), why });
    if let Some(why) = theirs::why_no_database(path) {
        return refused(why);
    }
    let is_log = LOGS.iter().filter_map(|log| theirs::without_suffix(path, log)).any(|owner| owner.is_file());
    if is_log { refused("it is the name of another database's log: open that database".to_owned()) } else { Ok(()) }
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
