//! One file, and the instance of DuckDB that it is attached to.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use dbmux_engine::{Access, Attachment, Engine, EngineError, EngineSession, InsertShape, SessionOptions};
use parking_lot::Mutex;

use crate::{
    errors,
    ffi::{self, Instance, Protection},
    name::catalog_name,
    options::DuckDbOptions,
    session::DuckDbSession,
};

/// DuckDB's side of one database file.
pub struct DuckDbEngine {
    shared: Arc<Shared>,
    options: DuckDbOptions,
}

/// What sessions need of their engine.
pub(crate) struct Shared {
    pub(crate) instance: Arc<Instance>,
    pub(crate) path: PathBuf,
    pub(crate) catalog: String,
    notice: Option<String>,
    /// Keeps clients' statements from the file, its logs and its sidecar.
    protection: Protection,
    /// Global settings that clients changed.
    pub(crate) settings: Mutex<BTreeMap<String, String>>,
    /// Also held while attaching and releasing, which thereby exclude each other.
    attachment: Mutex<Option<Attachment>>,
}

impl DuckDbEngine {
    /// Starts an instance for a file, and opens nothing.
    ///
    /// # Errors
    /// When DuckDB refuses a setting.
    pub fn new(path: impl Into<PathBuf>, options: DuckDbOptions) -> Result<Self, EngineError> {
        let path = path.into();
        let (catalog, notice) = catalog_name(&path);
        let instance = Instance::start(&options.settings(&path)).map_err(|failure| errors::internal(&failure))?;
        let protection = Protection::of(&path);
        let shared = Shared {
            protection,
            instance: Arc::new(instance),
            path,
            catalog,
            notice,
            settings: Mutex::default(),
            attachment: Mutex::new(None),
        };
        Ok(Self { shared: Arc::new(shared), options })
    }

    /// What the file's own system call says of it; `None`: it is not there.
    fn stat(&self) -> Result<Option<fs::Metadata>, EngineError> {
        let path = &self.shared.path;
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(EngineError::PermissionDenied { path: path.clone(), message: error.to_string() })
            }
            Err(error) => Err(EngineError::Io { path: path.clone(), message: error.to_string() }),
        }
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
        let exists = self.stat()?.is_some();
        let mut settings = vec![("type", "duckdb".to_owned())];
        match access {
            Access::ReadOnly if !exists => return Err(EngineError::NotFound { path: path.clone() }),
            Access::ReadOnly => settings.push(("read_only", "true".to_owned())),
            Access::ReadWrite => settings.push(("read_only", "false".to_owned())),
        }
        if let Some(version) = self.options.storage_version.as_ref().filter(|_| !exists) {
            settings.push(("storage_version", version.clone()));
        }
        self.shared
            .instance
            .attach(&self.shared.catalog, text, &settings)
            .map_err(|failure| errors::attach(&failure, path))?;
        let Some(metadata) = self.stat()? else {
            let detached = self.shared.instance.detach(&self.shared.catalog);
            let message = format!("it vanished while it was attached ({detached:?})");
            return Err(EngineError::FileLost { path: path.clone(), message });
        };
        let attached = Attachment { access, device: metadata.dev(), inode: metadata.ino() };
        self.shared.protection.attached(Some((attached.device, attached.inode)));
        *attachment = Some(attached.clone());
        Ok(attached)
    }

    fn release(&self) -> Result<(), EngineError> {
        let mut attachment = self.shared.attachment.lock();
        if attachment.is_none() {
            return Ok(());
        }
        let path = &self.shared.path;
        self.shared.instance.detach(&self.shared.catalog).map_err(|failure| errors::attach(&failure, path))?;
        self.shared.protection.attached(None);
        *attachment = None;
        drop(attachment);
        ffi::trim_memory();
        Ok(())
    }

    fn attachment(&self) -> Option<Attachment> {
        self.shared.attachment.lock().clone()
    }

    fn verify(&self, _thorough: bool) -> Result<(), EngineError> {
        let Some(attached) = self.attachment() else {
            return Ok(());
        };
        let lost = |message: String| EngineError::FileLost { path: self.shared.path.clone(), message };
        match self.stat()? {
            None => Err(lost("there is no file any more".to_owned())),
            Some(found) if (found.dev(), found.ino()) != (attached.device, attached.inode) => {
                Err(lost(format!("the path names inode {} now; {} is attached", found.ino(), attached.inode)))
            }
            Some(_) => Ok(()),
        }
    }

    fn open_session(&self, options: &SessionOptions) -> Result<Box<dyn EngineSession>, EngineError> {
        Ok(Box::new(DuckDbSession::open(&self.shared, options)?))
    }

    fn insert_shape(&self, _sql: &str) -> Option<InsertShape> {
        None
    }

    fn changed_settings(&self) -> Vec<(String, String)> {
        self.shared.settings.lock().clone().into_iter().collect()
    }
}
