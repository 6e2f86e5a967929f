//! Where a snapshot goes, and what may not be replaced by it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use dbmux_os::{
    file_kind::DirectoryKind,
    holders, new_file,
    theirs::{self, Theirs},
};
use tempfile::TempDir;

use super::failure;
use crate::failure::Failure;

/// A copy that has no name yet.
pub(super) enum Made {
    File(File),
    /// In a folder of its own, which goes with it.
    Directory {
        copy: PathBuf,
        _folder: TempDir,
    },
}

/// Where the copy goes.
pub(super) struct Target {
    pub(super) path: PathBuf,
    /// It is in this one.
    pub(super) folder: PathBuf,
    force: bool,
}

impl Target {
    pub(super) fn new(path: &Path, force: bool) -> Result<Self, Failure> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = fs::canonicalize(parent).map_err(|error| failure("find", parent, &error))?;
        let name =
            path.file_name().ok_or_else(|| Failure::usage(format!("{} is no name of a file", path.display())))?;
        let target = Self { path: folder.join(name), folder, force };
        target.is_no_part()?;
        match fs::symlink_metadata(&target.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => target.has_no_log().map(|()| target),
            Err(error) => Err(failure("look at", path, &error)),
            Ok(found) if found.is_dir() => {
                let text = format!("{} is a directory, and is not replaced", path.display());
                Err(Failure::usage(text).with_hint("remove it, or write to another name"))
            }
            Ok(_) if !force => Err(target.exists()),
            Ok(found) if !found.is_file() => Err(Failure::usage(format!("{} is no file", path.display()))),
            Ok(_) => target.is_free().and_then(|()| target.has_no_log()).map(|()| target),
        }
    }

    fn exists(&self) -> Failure {
        Failure::usage(format!("{} exists", self.path.display())).with_hint("--force replaces it")
    }

    /// It is not of what stands beside a database: its log, its locks.
    fn is_no_part(&self) -> Result<(), Failure> {
        let path = self.path.display();
        let is_log_of = |suffix| theirs::without_suffix(&self.path, suffix).filter(|database| database.exists());
        let text = match theirs::find(&self.path, &[]) {
            Some(Theirs::Sidecar) => format!("{path} is a name of dbmux's locks"),
            Some(Theirs::Scratch) => format!("{path} is where a database spills its data"),
            Some(Theirs::Runtime) => format!("{path} is in dbmux's runtime directory"),
            Some(Theirs::Database | Theirs::Log) | None if self.is_in_a_database() => {
                format!("{path} is inside of a database")
            }
            Some(Theirs::Database | Theirs::Log) | None => match theirs::LOGS.into_iter().find_map(is_log_of) {
                Some(database) => format!("{path} is the name of a log, that of {}", database.display()),
                None => return Ok(()),
            },
        };
        Err(Failure::usage(text).with_hint("write to another name"))
    }

    /// One that is a directory, as LanceDB's are.
    fn is_in_a_database(&self) -> bool {
        self.folder
            .ancestors()
            .any(|folder| matches!(DirectoryKind::of(folder), Ok(DirectoryKind::Lance | DirectoryKind::LanceTable)))
    }

    /// A log that stands beside the copy would be taken for the copy's own, and its changes for those of the database.
    fn has_no_log(&self) -> Result<(), Failure> {
        let beside = theirs::LOGS.map(|log| theirs::with_suffix(&self.path, log));
        let Some(log) = beside.into_iter().find(|log| log.symlink_metadata().is_ok()) else { return Ok(()) };
        let text = format!("{} is there: a log that would be taken for the copy's", log.display());
        Err(Failure::usage(text).with_hint("remove it if nothing in it is missed, or write to another name"))
    }

    /// Whoever has it open would go on with what nobody sees any more; and locks beside it are those of another database.
    fn is_free(&self) -> Result<(), Failure> {
        if dbmux_lock::sidecar_path(&self.path).exists() {
            let text = format!("{} is a database that dbmux keeps", self.path.display());
            return Err(Failure::usage(text).with_hint("write to another name"));
        }
        match holders::holders_of(&self.path) {
            Ok(holders) if !holders.is_empty() => {
                let text = format!("{} is in use", self.path.display());
                Err(Failure::usage(text).with_hint("write to another name, or end what has it open"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn differs_from(&self, database: &Path) -> Result<(), Failure> {
        let same = fs::canonicalize(&self.path).is_ok_and(|path| path == database);
        if same { Err(Failure::usage("the snapshot would replace its database".to_owned())) } else { Ok(()) }
    }

    /// Gives the copy its name, once it is on the disk.
    pub(super) fn name(&self, copy: Made) -> Result<(), Failure> {
        let failed = |error: &io::Error| failure("write", &self.path, error);
        let published = match &copy {
            Made::File(copy) => {
                copy.sync_all().map_err(|error| failed(&error))?;
                new_file::publish(copy, &self.path, self.force)
            }
            // Its maker has synced it.
            Made::Directory { copy, .. } => new_file::publish_directory(copy, &self.path),
        };
        match published {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(self.exists()),
            named => named.map_err(|error| failed(&error))?,
        }
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(&error))
    }
}
