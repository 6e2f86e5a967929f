//! Where sockets, logs and start locks live: one private directory a user.
//!
//! The directory is 0700 and ours: whoever may enter it may talk to our brokers. Names in it come from the database's
//! canonical path, so that every spelling of a path leads to the same broker.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::xxh3_128;

use crate::{OsError, sys};

/// Where the runtime directory is: `$DBMUX_RUNTIME_DIR`, else `$XDG_RUNTIME_DIR/dbmux`, else `/tmp/dbmux-<uid>`.
/// Makes nothing.
#[must_use]
pub fn runtime_path() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("DBMUX_RUNTIME_DIR").or_else(|| set("XDG_RUNTIME_DIR").map(|base| base.join("dbmux"))).unwrap_or_else(|| {
        if cfg!(unix) {
            PathBuf::from(format!("/tmp/dbmux-{}", sys::user_id()))
        } else {
            std::env::temp_dir().join("dbmux")
        }
    })
}

/// Answers with the runtime directory, made (0700) where it was missing.
///
/// # Errors
/// [`OsError::NotPrivate`] when it is a symbolic link, somebody else's, or open to others and cannot be closed;
/// [`OsError::Path`] when it cannot be made.
pub fn runtime_dir() -> Result<PathBuf, OsError> {
    let path = runtime_path();
    sys::private_directory(&path)?;
    Ok(path)
}

/// Where the broker of a database listens: `<runtime directory>/<32 hex digits of the canonical path's xxh3-128>.sock`.
/// Makes nothing.
///
/// # Errors
/// See [`canonical_database_path`].
pub fn socket_path(database: &Path) -> Result<PathBuf, OsError> {
    beside(database, "sock")
}

/// Where the broker of a database writes its log: like [`socket_path`], with `.log`. Makes nothing.
///
/// # Errors
/// See [`canonical_database_path`].
pub fn log_path(database: &Path) -> Result<PathBuf, OsError> {
    beside(database, "log")
}

/// The one spelling of a database's path: absolute, symbolic links resolved. The file need not exist, its directory must.
///
/// # Errors
/// [`OsError::Path`] when the directory does not exist or cannot be read, or the path names no file.
pub fn canonical_database_path(path: &Path) -> Result<PathBuf, OsError> {
    let failed = |source| OsError::path("find", path, source);
    match std::fs::canonicalize(path) {
        Ok(canonical) => return Ok(canonical),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    // A symbolic link to a file that does not exist yet: whoever makes it makes it there.
    if let Ok(target) = std::fs::read_link(path) {
        let base = path.parent().unwrap_or(Path::new(""));
        return canonical_database_path(&base.join(target));
    }
    let Some(name) = path.file_name() else {
        return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it names no file")));
    };
    let parent = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    Ok(std::fs::canonicalize(parent).map_err(|source| OsError::path("find", parent, source))?.join(name))
}

fn beside(database: &Path, extension: &str) -> Result<PathBuf, OsError> {
    let canonical = canonical_database_path(database)?;
    let hash = xxh3_128(bytes(canonical.as_os_str()));
    Ok(runtime_path().join(format!("{hash:032x}.{extension}")))
}

fn bytes(text: &OsStr) -> &[u8] {
    text.as_encoded_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_leads_to_the_same_socket() {
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join("sales.duckdb");
        let odd = directory.path().join(".").join("sub").join("..").join("sales.duckdb");
        std::fs::create_dir(directory.path().join("sub")).unwrap();
        let before = socket_path(&plain).unwrap();
        assert_eq!(before, socket_path(&odd).unwrap());
        std::fs::write(&plain, b"").unwrap();
        assert_eq!(before, socket_path(&plain).unwrap());
        assert_ne!(before, socket_path(&directory.path().join("other.duckdb")).unwrap());
    }

    #[test]
    fn a_dangling_link_means_its_target() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("real.duckdb", directory.path().join("link.duckdb")).unwrap();
        let real = canonical_database_path(&directory.path().join("real.duckdb")).unwrap();
        assert_eq!(real, canonical_database_path(&directory.path().join("link.duckdb")).unwrap());
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = canonical_database_path(Path::new("/no/such/place/x.duckdb")).unwrap_err();
        assert!(error.to_string().contains("/no/such/place"), "{error}");
    }
}
