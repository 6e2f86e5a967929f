//! One file, and the instance of DuckDB that it is attached to.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use dbmux_engine::{
    Access, Attachment, CatalogSql, Engine, EngineError, EngineSession, IngestSql, InsertShape, SessionOptions,
    quote::quoted,
};
use dbmux_os::{
    file_kind::{self, FileKind},
    holders, theirs,
};
use parking_lot::Mutex;

use crate::{
    catalog::CATALOG,
    errors,
    ffi::{self, Door, Failure, Instance, Protection, Replacement},
    ingest::INGEST,
    insert,
    name::catalog_name,
    options::{self, DuckDbOptions},
    session::DuckDbSession,
    shared::{ScratchFolder, Shared, remove_if_empty},
    snapshot::Snapshots,
};

/// How long a release waits for whoever has the file still, and how often it looks.
const LAST_USERS: Duration = Duration::from_secs(5);
const LOOKS_EVERY: Duration = Duration::from_millis(1);

/// DuckDB's side of one database file.
pub struct DuckDbEngine {
    shared: Arc<Shared>,
    options: DuckDbOptions,
    /// What dead owners left behind has been swept.
    swept: AtomicBool,
}

impl DuckDbEngine {
    /// Starts an instance for a file, by its canonical path, and opens nothing.
    ///
    /// # Errors
    /// When DuckDB refuses a setting.
    pub fn new(path: impl Into<PathBuf>, options: DuckDbOptions) -> Result<Self, EngineError> {
        let path = path.into();
        let (catalog, notice) = catalog_name(&path);
        let instance = Instance::start(&options.settings(&path)).map_err(|failure| errors::internal(&failure))?;
        let scratch = ScratchFolder::of(&path);
        let shared = Shared {
            instance: Arc::new(instance),
            protection: Protection::of(&path),
            path,
            catalog,
            notice,
            attaching: Mutex::new(()),
            parser_epoch: AtomicU64::default(),
            settings: Mutex::default(),
            attachment: Mutex::new(None),
            snapshots: Snapshots::default(),
            _folder: scratch,
        };
        Ok(Self { shared: Arc::new(shared), options, swept: AtomicBool::new(false) })
    }

    /// What the path names now: device and inode; `None`: nothing.
    fn identity(&self) -> Result<Option<(u64, u64)>, EngineError> {
        match fs::metadata(&self.shared.path) {
            Ok(found) => Ok(Some((found.dev(), found.ino()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(&self.shared.path, &error)),
        }
    }

    /// Opens the file under its name, in a snapshot's place where there is one.
    fn open(&self, path: &str, access: Access, storage_version: Option<&str>) -> Result<(), Failure> {
        let Shared { instance, catalog, snapshots, .. } = self.shared.as_ref();
        let read_only = access == Access::ReadOnly;
        if snapshots.as_of().is_some() {
            instance.replace(catalog, &Replacement { path, storage_version, read_only, tracked: true })?;
            snapshots.end();
        } else {
            let mut settings = vec![("type", "duckdb".to_owned()), ("read_only", read_only.to_string())];
            settings.extend(storage_version.map(|version| ("storage_version", version.to_owned())));
            instance.attach(catalog, path, &settings)?;
        }
        Ok(())
    }

    /// Removes what an owner that was killed left: spilled data and copies, which nobody else may have made now.
    fn sweep(&self) {
        if self.swept.swap(true, Ordering::Relaxed) {
            return;
        }
        let scratch = options::scratch(&self.shared.path);
        match fs::remove_dir_all(&scratch) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, scratch = %scratch.display(), "what a former owner left could not be removed");
            }
            _ => {}
        }
        remove_if_empty(&scratch);
    }
}

/// Refuses a file that cannot be served: of another kind, or with more than one name; one that is not there may become a
/// database.
///
/// Only while this process has not attached it: closing it would drop our lock.
///
/// # Errors
/// [`EngineError::NotADatabase`] with what it is instead, where the path names anything but a database of DuckDB;
/// [`EngineError::Refused`] where it has other names, or belongs to another database; whatever the system says where it
/// cannot be read.
pub fn check_kind(path: &Path) -> Result<(), EngineError> {
    check_names(path)?;
    let door = Door::open();
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(file_kind::LENGTH as u64).read_to_end(&mut start)).map(drop);
    drop(door);
    match read {
        Ok(()) if start.is_empty() => check_empty(path),
        Ok(()) => match FileKind::of(&start) {
            FileKind::DuckDb | FileKind::Empty => Ok(()),
            other => Err(not_a_database(path, other.title())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Err(not_a_database(path, "a directory")),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn check_names(path: &Path) -> Result<(), EngineError> {
    let refused = |why| Err(EngineError::Refused { what: format!("opening {}", path.display()), why });
    theirs::why_no_database(path).map_or(Ok(()), refused)
}

/// A file that is being made is empty for a moment: whoever makes it has it locked. No other will be a database, as with
/// DuckDB itself.
fn check_empty(path: &Path) -> Result<(), EngineError> {
    match holders::holders_of(path) {
        Ok(holders) if holders.is_empty() => Err(empty(path)),
        _ => Ok(()),
    }
}

fn not_a_database(path: &Path, what: &str) -> EngineError {
    EngineError::NotADatabase { path: path.to_owned(), engine: "DuckDB", message: format!("it is {what}"), hint: "" }
}

fn empty(path: &Path) -> EngineError {
    let (path, message) = (path.to_owned(), "it is empty".to_owned());
    let hint = "delete it: a database is made where there is no file";
    EngineError::NotADatabase { path, engine: "DuckDB", message, hint }
}

fn unusable(path: &Path, error: &io::Error) -> EngineError {
    let (path, message) = (path.to_owned(), error.to_string());
    match error.kind() {
        io::ErrorKind::NotFound => EngineError::NotFound { path },
        io::ErrorKind::PermissionDenied => EngineError::PermissionDenied { path, message },
        _ => EngineError::Io { path, message },
    }
}

impl Engine for DuckDbEngine {
    fn name(&self) -> &'static str {
        "duckdb"
    }

    fn version(&self) -> String {
        ffi::library_version()
    }

    fn path(&self) -> &Path {
        &self.shared.path
    }

    fn catalog(&self) -> &str {
        &self.shared.catalog
    }

    fn catalog_sql(&self) -> CatalogSql {
        CATALOG
    }

    fn ingest_sql(&self) -> IngestSql {
        INGEST
    }

    fn notices(&self) -> Vec<String> {
        self.shared.notice.iter().cloned().collect()
    }

    fn attach(&self, access: Access) -> Result<Attachment, EngineError> {
        let mut attachment = self.shared.attachment.lock();
        if let Some(attached) = attachment.as_ref() {
            return Ok(attached.clone());
        }
        let path = &self.shared.path;
        let Some(text) = path.to_str() else {
            return Err(EngineError::Unsupported {
                what: format!("the path {}", path.display()),
                why: "DuckDB takes UTF-8 only; rename the file".to_owned(),
            });
        };
        // DuckDB opens no file that it has still.
        if self.shared.instance.close_unused() {
            let message = "a transaction that is about to end has it still".to_owned();
            return Err(EngineError::Locked { path: path.clone(), message });
        }
        let exists = self.identity()?.is_some();
        if exists {
            check_kind(path)?;
        } else if access == Access::ReadOnly || !path.parent().is_some_and(Path::is_dir) {
            return Err(EngineError::NotFound { path: path.clone() });
        }
        // An older file keeps its version.
        let version = self.options.storage_version.as_deref().filter(|_| !exists);
        self.open(text, access, version).map_err(|failure| errors::attach(&failure, path))?;
        let (device, inode) = match self.identity() {
            Ok(Some(identity)) => identity,
            // Nobody would know that it is attached.
            unknown => {
                let detached = self.shared.instance.detach(&self.shared.catalog);
                let message = format!("it vanished while it was attached ({detached:?})");
                return Err(unknown.err().unwrap_or(EngineError::FileLost { path: path.clone(), message }));
            }
        };
        let attached = Attachment { access, device, inode };
        self.shared.protection.attached(Some((device, inode)));
        *attachment = Some(attached.clone());
        if access == Access::ReadWrite {
            self.sweep();
        }
        Ok(attached)
    }

    fn release(&self) -> Result<(), EngineError> {
        let mut attachment = self.shared.attachment.lock();
        if attachment.is_none() && self.shared.snapshots.as_of().is_none() {
            return Ok(());
        }
        let path = &self.shared.path;
        self.shared.instance.detach(&self.shared.catalog).map_err(|failure| errors::attach(&failure, path))?;
        self.shared.snapshots.end();
        self.shared.protection.attached(None);
        *attachment = None;
        drop(attachment);
        // A checkpoint for somebody who has gone may still be at it.
        let deadline = Instant::now() + LAST_USERS;
        while self.shared.instance.close_unused() {
            if Instant::now() >= deadline {
                tracing::warn!("the file is still read; it is closed behind that");
                break;
            }
            thread::sleep(LOOKS_EVERY);
        }
        Ok(())
    }

    fn settle(&self) -> Result<(), EngineError> {
        let failed = |failure: Failure| errors::internal(&failure);
        let connection = self.shared.instance.connect().map_err(failed)?;
        connection
            .run(&format!("CHECKPOINT {}", quoted(&self.shared.catalog)))
            .map_err(|failure| errors::settle(&failure))?;
        let log = theirs::with_suffix(&self.shared.path, ".wal");
        match fs::metadata(&log) {
            Ok(found) if found.len() > 0 => {
                let message = format!("{} bytes are left in the log after a checkpoint", found.len());
                Err(EngineError::Internal { message })
            }
            _ => Ok(()),
        }
    }

    fn stand_in(&self, copy: File, as_of: SystemTime) -> Result<(), EngineError> {
        let mut attachment = self.shared.attachment.lock();
        if attachment.is_none() {
            let message = "a snapshot stands in for a file that is attached, and none is".to_owned();
            return Err(EngineError::Internal { message });
        }
        let Shared { instance, catalog, snapshots, protection, .. } = self.shared.as_ref();
        snapshots.begin(instance, catalog, &copy, as_of).map_err(|failure| errors::internal(&failure))?;
        // Once it is closed, nothing is protected by its inode any more.
        protection.attached(None);
        *attachment = None;
        Ok(())
    }

    fn snapshot(&self) -> Option<SystemTime> {
        self.shared.snapshots.as_of()
    }

    fn has_file_open(&self) -> bool {
        self.attachment().is_some() || self.shared.instance.close_unused()
    }

    fn tidy(&self) {
        ffi::trim_memory();
    }

    fn attachment(&self) -> Option<Attachment> {
        self.shared.attachment.lock().clone()
    }

    fn verify(&self, thorough: bool) -> Result<(), EngineError> {
        let Some(attached) = self.attachment() else {
            return Ok(());
        };
        let lost = |message: String| EngineError::FileLost { path: self.shared.path.clone(), message };
        match self.identity()? {
            None => return Err(lost("there is no file any more".to_owned())),
            Some((device, inode)) if (device, inode) != (attached.device, attached.inode) => {
                return Err(lost(format!("the path names inode {inode} now; {} is attached", attached.inode)));
            }
            Some(_) => {}
        }
        if thorough && !holders::own_ofd_lock(attached.device, attached.inode) {
            return Err(lost("the kernel shows no lock of ours on it".to_owned()));
        }
        Ok(())
    }

    fn open_session(&self, options: &SessionOptions) -> Result<Box<dyn EngineSession>, EngineError> {
        Ok(Box::new(DuckDbSession::open(&self.shared, options)?))
    }

    fn insert_shape(&self, sql: &str) -> Option<InsertShape> {
        insert::recognise(sql).map(|insert| insert.shape)
    }

    fn settings(&self) -> Vec<(String, String)> {
        let installs = ("autoinstall_known_extensions".to_owned(), self.options.install_extensions.to_string());
        let changed = self.shared.settings.lock().clone();
        std::iter::once(installs).chain(changed).collect()
    }
}
