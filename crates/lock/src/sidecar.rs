//! The lock's file: where it may be, how it is made, and whether a path still names it.
//!
//! A database's sidecar has the database's mode and group from the moment at which it can be seen: it is made without a
//! name, and named when it is whole.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use dbmux_os::{file_id::FileId, fs_kind, new_file};

use crate::LockError;

/// The end of a database's sidecar's name.
const SIDECAR: &str = ".dbmux";

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

/// Before anything is locked, or even opened.
pub(crate) fn refuse_network(path: &Path) -> Result<(), LockError> {
    match fs_kind::network_fs(directory_of(path))? {
        Some(file_system) => Err(LockError::NetworkFileSystem { path: path.to_owned(), file_system }),
        None => Ok(()),
    }
}

/// Makes the file, unless somebody else is faster; opens it in both cases.
pub(crate) fn make(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let database = database_of(path).and_then(|database| std::fs::metadata(database).ok());
    let Some(database) = database else {
        // Nobody's mode to follow but the umask's.
        return options.clone().create(true).truncate(false).mode(0o666).open(path);
    };
    match new_file::make(path, mode_like(&database), Some(database.gid())) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => options.open(path),
    }
}

fn database_of(sidecar: &Path) -> Option<PathBuf> {
    let name = sidecar.file_name()?.to_str()?.strip_suffix(SIDECAR)?;
    Some(sidecar.with_file_name(name))
}

/// A database that is only read is locked all the same: the sidecar stays writable for its owner.
fn mode_like(database: &std::fs::Metadata) -> u32 {
    (database.mode() & 0o666) | 0o600
}

/// Whoever may use the database may use its locks, also when its mode has changed. Only the sidecar's owner can see to it.
pub(crate) fn take_mode(sidecar: &Path, database: &Path) {
    let (Ok(file), Ok(beside)) = (std::fs::metadata(database), std::fs::metadata(sidecar)) else { return };
    if file.gid() != beside.gid() {
        // Refused unless we own the sidecar and are in the group: then its owner has seen to it, or will.
        let _ = chown(sidecar, None, Some(file.gid()));
    }
    let mode = mode_like(&file);
    if mode != beside.mode() & 0o777 {
        let _ = std::fs::set_permissions(sidecar, std::fs::Permissions::from_mode(mode));
    }
}

/// Whether the path still names this file.
pub(crate) fn names(path: &Path, file: FileId) -> Result<bool, LockError> {
    match FileId::of_path(path) {
        Ok(id) => Ok(id == file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(LockError::Table { operation: "look at", path: path.to_owned(), source }),
    }
}

/// Makes the file's name survive a power cut, as its content does.
pub(crate) fn sync_name(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}
