//! Where things are at run time: the private directory for sockets, logs and named locks, and the names in it.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::{
    OsError,
    file_kind::{self, DirectoryKind},
};

/// The longest path that a Unix socket can have on Linux, without its terminator, in bytes.
const LONGEST_SOCKET_PATH: usize = 107;

/// The directory for sockets, logs and named locks: `$DBMUX_RUNTIME_DIR`, else `$XDG_RUNTIME_DIR/dbmux`, else
/// `/tmp/dbmux-UID`. Made where it is missing; refused unless it is ours alone.
///
/// # Errors
/// [`OsError::NotPrivate`] when it is somebody else's, or open to others; a relative one, which would be another place
/// for each working directory.
pub fn runtime_dir() -> Result<PathBuf, OsError> {
    let path = runtime_path();
    if !path.is_absolute() {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "DBMUX_RUNTIME_DIR is an absolute path");
        return Err(OsError::path("use", path, error));
    }
    make_private(&path)?;
    Ok(path)
}

/// Makes a directory that is ours alone where it is missing, and refuses one that is not.
///
/// # Errors
/// [`OsError::NotPrivate`] when it is somebody else's, or open to others.
pub fn make_private(path: &Path) -> Result<(), OsError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| OsError::path("make", path, error))?;
    check_private(path)
}

/// The same, without making or checking it. A relative `$XDG_RUNTIME_DIR` counts as none, as its specification wants it.
pub fn runtime_path() -> PathBuf {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("DBMUX_RUNTIME_DIR")
        .or_else(|| named("XDG_RUNTIME_DIR").filter(|path| path.is_absolute()).map(|path| path.join("dbmux")))
        .unwrap_or_else(|| PathBuf::from(format!("/tmp/dbmux-{}", rustix::process::getuid().as_raw())))
}

/// The variable with which a process tells those that it starts of the leases that they run inside of. Nobody is believed
/// because of it: it says where to look, and the lock's own table says the rest.
pub const LEASE_VARIABLE: &str = "DBMUX_LEASE";

/// What this process was told of the leases that it runs inside of.
pub fn inherited_leases() -> Option<String> {
    env::var(LEASE_VARIABLE).ok().filter(|text| !text.is_empty())
}

/// Refuses a directory that is not ours alone.
///
/// # Errors
/// [`OsError::NotPrivate`]; when it is not there.
pub fn check_private(path: &Path) -> Result<(), OsError> {
    let found = fs::symlink_metadata(path).map_err(|error| OsError::path("look at", path, error))?;
    let mode = found.permissions().mode() & 0o777;
    let ours = found.uid() == rustix::process::getuid().as_raw();
    if found.is_dir() && ours && mode == 0o700 {
        return Ok(());
    }
    let closable = found.is_dir() && ours;
    let kind = if found.is_dir() { "a directory" } else { "no directory" };
    let found = format!("{kind}, mode {mode:04o}, owner {}", found.uid());
    Err(OsError::NotPrivate { path: path.to_owned(), found, closable })
}

/// The socket on which a database's broker listens.
///
/// # Errors
/// When the path is too long for a socket.
pub fn socket_path(database: &Path) -> Result<PathBuf, OsError> {
    socket_path_in(&runtime_path(), database)
}

/// The same, in another runtime directory.
///
/// # Errors
/// As [`socket_path`].
pub fn socket_path_in(directory: &Path, database: &Path) -> Result<PathBuf, OsError> {
    let name = xxhash_rust::xxh3::xxh3_128(database.as_os_str().as_encoded_bytes());
    let path = directory.join(format!("{name:032x}.sock"));
    if path.as_os_str().len() > LONGEST_SOCKET_PATH {
        let error = io::Error::new(io::ErrorKind::InvalidFilename, "too long for a socket; set DBMUX_RUNTIME_DIR");
        return Err(OsError::path("listen on", path, error));
    }
    Ok(path)
}

/// The one path of a database: absolute, without symbolic links. It is a file, or a directory of LanceDB's tables, or nothing
/// yet; the directory that it is in has to exist.
///
/// # Errors
/// When that directory does not exist, or it is a directory of other things, a device, a pipe or a socket.
pub fn canonical_database_path(path: &Path) -> Result<PathBuf, OsError> {
    let canonical = match fs::canonicalize(path) {
        Ok(canonical) => canonical,
        Err(error) if error.kind() == io::ErrorKind::NotFound => canonical_missing(path)?,
        Err(error) => return Err(OsError::path("find", path, error)),
    };
    let refused = |kind, why| Err(OsError::path("open", path, io::Error::new(kind, why)));
    if canonical.is_dir() {
        let kind = DirectoryKind::of(&canonical).map_err(|error| OsError::path("look into", path, error))?;
        return match kind {
            DirectoryKind::Lance => Ok(canonical),
            DirectoryKind::Empty if file_kind::may_become_lance(&canonical) => Ok(canonical),
            DirectoryKind::LanceTable => {
                refused(io::ErrorKind::IsADirectory, "it is one table of LanceDB's; name the directory that it is in")
            }
            DirectoryKind::Empty | DirectoryKind::Other => refused(
                io::ErrorKind::IsADirectory,
                "it is a directory, and there are no tables of LanceDB's in it; name the database's file",
            ),
        };
    }
    if canonical.exists() && !canonical.is_file() {
        return refused(io::ErrorKind::InvalidInput, "it is no regular file");
    }
    Ok(canonical)
}

fn canonical_missing(path: &Path) -> Result<PathBuf, OsError> {
    // A link that leads nowhere names the place where the file will be made.
    if let Ok(target) = fs::read_link(path) {
        let target = path.parent().unwrap_or(Path::new("")).join(target);
        return canonical_database_path(&target);
    }
    let missing = || OsError::path("find", path, io::Error::from(io::ErrorKind::NotFound));
    let name = path.file_name().ok_or_else(missing)?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let directory = fs::canonicalize(directory).map_err(|error| OsError::path("find the directory of", path, error))?;
    Ok(directory.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_one_path_however_it_is_spelt() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = directory.path().canonicalize().expect("its path");
        fs::create_dir(place.join("sub")).expect("a directory");
        std::os::unix::fs::symlink(place.join("a.duckdb"), place.join("sub/link")).expect("a link");
        let straight = canonical_database_path(&place.join("a.duckdb")).expect("a path");
        assert_eq!(canonical_database_path(&place.join("sub/../a.duckdb")).expect("a path"), straight);
        assert_eq!(canonical_database_path(&place.join("sub/link")).expect("a dangling link"), straight);
        fs::write(&straight, "").expect("the file");
        assert_eq!(canonical_database_path(&place.join("sub/link")).expect("a link"), straight);
        assert!(canonical_database_path(&place.join("nowhere/a.duckdb")).is_err());
        let refused = canonical_database_path(&place.join("sub")).expect_err("a directory of other things");
        assert!(refused.to_string().contains("no tables of LanceDB"), "{refused}");
        fs::create_dir_all(place.join("a.lancedb/chunks.lance/_versions")).expect("directories");
        assert!(canonical_database_path(&place.join("a.lancedb")).is_ok());
        let refused = canonical_database_path(&place.join("a.lancedb/chunks.lance")).expect_err("a table");
        assert!(refused.to_string().contains("one table"), "{refused}");
        assert!(canonical_database_path(Path::new("/dev/null")).is_err(), "a device is no database");
    }
}
