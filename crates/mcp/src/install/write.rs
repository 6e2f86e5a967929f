//! Writes a plan: the old text beside the file, the new one in its place, at once.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::{InstallError, Plan};

/// Links that are followed to a file.
const MOST_LINKS: usize = 40;

/// Backups of one file.
const MOST_BACKUPS: usize = 10_000;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The program's file.
    pub file: PathBuf,
    /// What it had before; `None`: there was no file, or it had the entry already.
    pub backup: Option<PathBuf>,
}

impl Plan {
    /// Writes it, unless the file is so already.
    ///
    /// # Errors
    /// [`InstallError::Changed`] when the file is no longer what was read; where the system refuses. The file is then
    /// as it was.
    pub fn write(&self) -> Result<Written, InstallError> {
        let done = |backup| Written { file: self.file.clone(), backup };
        if !self.changes() {
            return Ok(done(None));
        }
        let target = followed(&self.file)?;
        let Some(old) = &self.old else {
            self.make(&target)?;
            return Ok(done(None));
        };
        let present = fs::metadata(&target).map_err(|error| self.gone(error))?;
        if present.permissions().readonly() {
            return Err(InstallError::ReadOnly { file: self.file.clone() });
        }
        let new = self.temporary(&target, 0o600)?;
        dress(new.as_file(), &present).map_err(InstallError::io("keep the owner and mode of", &*self.file))?;
        let backup = back_up(&self.file, old, &present)?;
        let replaced = self.still(&target, old).and_then(|()| {
            new.persist(&target).map_err(|refused| InstallError::io("replace", &*self.file)(refused.error))
        });
        if let Err(error) = replaced {
            // Nothing was replaced: the file is its own backup.
            let _ = fs::remove_file(&backup);
            return Err(error);
        }
        Ok(done(Some(backup)))
    }

    /// Where there was none; not over one that somebody made since.
    fn make(&self, target: &Path) -> Result<(), InstallError> {
        let directory = directory_of(target);
        let mode = if self.shared { 0o777 } else { 0o700 };
        DirBuilder::new().recursive(true).mode(mode).create(directory).map_err(InstallError::io("make", directory))?;
        // Programs keep tokens in files of the user, and make them so too.
        let new = self.temporary(target, if self.shared { 0o666 } else { 0o600 })?;
        match new.persist_noclobber(target) {
            Ok(_) => Ok(()),
            Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(InstallError::Changed { file: self.file.clone() })
            }
            Err(refused) => Err(InstallError::io("make", &*self.file)(refused.error)),
        }
    }

    /// The new text, in the same directory, so that it can be renamed.
    fn temporary(&self, target: &Path, mode: u32) -> Result<NamedTempFile, InstallError> {
        let failed = || InstallError::io("write", &*self.file);
        let mut prefix = OsString::from(".");
        prefix.push(target.file_name().unwrap_or_default());
        prefix.push(".");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(".dbmux-new").permissions(Permissions::from_mode(mode));
        let mut new = builder.tempfile_in(directory_of(target)).map_err(failed())?;
        new.write_all(self.text().as_bytes()).map_err(failed())?;
        new.as_file().sync_all().map_err(failed())?;
        Ok(new)
    }

    fn still(&self, target: &Path, old: &str) -> Result<(), InstallError> {
        let now = fs::read(target).map_err(|error| self.gone(error))?;
        if now == old.as_bytes() { Ok(()) } else { Err(InstallError::Changed { file: self.file.clone() }) }
    }

    fn gone(&self, error: io::Error) -> InstallError {
        match error.kind() {
            io::ErrorKind::NotFound => InstallError::Changed { file: self.file.clone() },
            _ => InstallError::io("read", &*self.file)(error),
        }
    }
}

/// What the links lead to, whether or not it is there: the link stays, and the file behind it is replaced.
pub(super) fn followed(file: &Path) -> Result<PathBuf, InstallError> {
    let mut target = file.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&target) {
            Ok(link) => target = directory_of(&target).join(link),
            // No link, or nothing.
            Err(_) => return Ok(target),
        }
    }
    Err(InstallError::io("follow", file)(io::Error::other("links lead in a circle")))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Gives a file the owner, group and mode of another one.
fn dress(file: &File, like: &Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
        fchown(file, Some(like.uid()), Some(like.gid()))?;
    }
    file.set_permissions(Permissions::from_mode(like.mode() & 0o777))
}

/// Beside the file as it was named: what a link leads to may be in a repository, where secrets would be committed.
fn back_up(file: &Path, old: &str, like: &Metadata) -> Result<PathBuf, InstallError> {
    for number in 1..=MOST_BACKUPS {
        let mut name = file.as_os_str().to_owned();
        name.push(".dbmux-backup");
        if number > 1 {
            name.push(format!(".{number}"));
        }
        let path = PathBuf::from(name);
        let mut backup = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made.map_err(InstallError::io("make", &*path))?,
        };
        let written = backup.write_all(old.as_bytes()).and_then(|()| dress(&backup, like));
        let whole = written.and_then(|()| backup.sync_all());
        whole.inspect_err(|_| drop(fs::remove_file(&path))).map_err(InstallError::io("write", &*path))?;
        return Ok(path);
    }
    Err(InstallError::io("back up", file)(io::Error::other("there are too many backups of it")))
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
