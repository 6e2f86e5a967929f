//! What a path is, before it is opened.

use std::{fs, io, path::Path};

use dbmux_engine::EngineError;
use dbmux_os::file_kind::DirectoryKind;

use crate::errors;

/// Refuses a path that cannot be served: a file, a table of its own, a directory of other things; one that is not there, or
/// empty, may become a database.
///
/// # Errors
/// [`EngineError::NotADatabase`] with what it is instead; whatever the system says where it cannot be read.
pub fn check_kind(path: &Path) -> Result<(), EngineError> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(errors::io(&error, path)),
    };
    if !found.is_dir() {
        return Err(not_a_database(path, "it is a file", "a database of LanceDB is a directory of tables"));
    }
    match DirectoryKind::of(path).map_err(|error| errors::io(&error, path))? {
        DirectoryKind::Empty | DirectoryKind::Lance => Ok(()),
        DirectoryKind::LanceTable => Err(not_a_database(path, "it is a table", "open the directory that it is in")),
        DirectoryKind::Other => {
            Err(not_a_database(path, "it is a directory without tables, and not empty", "name an empty directory"))
        }
    }
}

fn not_a_database(path: &Path, message: &str, hint: &'static str) -> EngineError {
    EngineError::NotADatabase { path: path.to_owned(), engine: "LanceDB", message: message.to_owned(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_a_directory_of_tables_or_nothing_yet() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("with.lancedb/chunks.lance/_versions")).unwrap();
        fs::create_dir_all(at("empty")).unwrap();
        fs::create_dir_all(at("other/things")).unwrap();
        fs::write(at("file"), "x").unwrap();
        for name in ["with.lancedb", "empty", "nothing"] {
            assert!(check_kind(&at(name)).is_ok(), "{name}");
        }
        for name in ["other", "file", "with.lancedb/chunks.lance"] {
            assert!(matches!(check_kind(&at(name)), Err(EngineError::NotADatabase { .. })), "{name}");
        }
    }
}
