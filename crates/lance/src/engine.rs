//! One directory of LanceDB's tables.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use dbmux_engine::{
    Access, Attachment, CatalogSql, Engine, EngineError, EngineSession, IngestSql, InsertShape, SessionOptions,
};
use parking_lot::{Mutex, MutexGuard};

use crate::{
    catalog,
    commit::Ledger,
    errors, layout, listing, maintain, merged,
    opened::{Opened, Source, StandIn},
    options::LanceOptions,
    session::LanceSession,
    shared::Shared,
    threads::Threads,
    wait::Running,
};

/// LanceDB's version, whose Lance writes the files.
const VERSION: &str = "lancedb 0.41 (lance 14.0)";

/// LanceDB's side of one directory.
pub struct LanceEngine {
    shared: Arc<Shared>,
    options: LanceOptions,
    /// What is known of the tables.
    ledger: Arc<Ledger>,
    /// What dead owners left behind has been swept.
    swept: AtomicBool,
    /// Held while something is done because nobody waits.
    at_work: Mutex<()>,
}

impl LanceEngine {
    /// Starts what is needed for a directory, by its canonical path, and opens nothing.
    ///
    /// # Errors
    /// When the system has no threads for it.
    pub fn new(path: impl Into<PathBuf>, options: LanceOptions) -> Result<Self, EngineError> {
        let threads = Arc::new(Threads::start()?);
        let shared = Shared { path: path.into(), threads, source: Mutex::default(), idle: Mutex::default() };
        Ok(Self {
            shared: Arc::new(shared),
            ledger: Arc::default(),
            options,
            swept: AtomicBool::new(false),
            at_work: Mutex::default(),
        })
    }

    /// What the path names now: device and inode; `None`: nothing.
    fn identity(&self) -> Result<Option<(u64, u64)>, EngineError> {
        match fs::metadata(&self.shared.path) {
            Ok(found) => Ok(Some((found.dev(), found.ino()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(errors::io(&error, &self.shared.path)),
        }
    }

    /// Makes the directory where there is none, and tells what it is.
    fn prepare(&self, access: Access) -> Result<(u64, u64), EngineError> {
        let path = &self.shared.path;
        if let Some(found) = self.identity()? {
            layout::check_kind(path)?;
            return Ok(found);
        }
        if access == Access::ReadOnly || !path.parent().is_some_and(Path::is_dir) {
            return Err(EngineError::NotFound { path: path.clone() });
        }
        fs::create_dir(path).map_err(|error| errors::io(&error, path))?;
        if let Some(parent) = path.parent().filter(|_| self.options.sync) {
            File::open(parent).and_then(|parent| parent.sync_all()).map_err(|error| errors::io(&error, parent))?;
        }
        self.identity()?.ok_or_else(|| EngineError::NotFound { path: path.clone() })
    }

    /// Ends what is done because nobody waits; none begins until the guard is dropped.
    fn end_idle_work(&self) -> MutexGuard<'_, ()> {
        self.shared.end_idle_work();
        self.at_work.lock()
    }
}

impl Engine for LanceEngine {
    fn name(&self) -> &'static str {
        "lance"
    }

    fn version(&self) -> String {
        VERSION.to_owned()
    }

    fn path(&self) -> &Path {
        &self.shared.path
    }

    fn catalog(&self) -> &str {
        listing::NAME
    }

    fn ingest_sql(&self) -> IngestSql {
        listing::INGEST
    }

    fn catalog_sql(&self) -> CatalogSql {
        listing::CATALOG
    }

    fn notices(&self) -> Vec<String> {
        Vec::new()
    }

    fn attach(&self, access: Access) -> Result<Attachment, EngineError> {
        if let Some(opened) = self.shared.opened() {
            return Ok(opened.attachment.clone());
        }
        let (device, inode) = self.prepare(access)?;
        let attachment = Attachment { access, device, inode };
        let opening = Opened::open(&self.shared.path, attachment.clone(), self.options, self.ledger.clone());
        let opened = self.shared.threads.wait(opening)?;
        if access == Access::ReadWrite && !self.swept.swap(true, Ordering::Relaxed) {
            catalog::sweep(&self.shared.path);
        }
        *self.shared.source.lock() = Some(Source::File(Arc::new(opened)));
        Ok(attachment)
    }

    fn release(&self) -> Result<(), EngineError> {
        let _nothing_is_done = self.end_idle_work();
        *self.shared.source.lock() = None;
        Ok(())
    }

    /// Every version is complete when it is committed: there is nothing to bring together.
    fn settle(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn stand_in(&self, _copy: File, _as_of: SystemTime) -> Result<(), EngineError> {
        let message = "a directory has no copy in a file: it stands in by itself".to_owned();
        Err(EngineError::Internal { message })
    }

    fn copies_by_itself(&self) -> bool {
        true
    }

    fn stand_in_by_itself(&self) -> Result<SystemTime, EngineError> {
        let Some(opened) = self.shared.opened() else {
            let message = "a copy stands in for what is attached, and nothing is".to_owned();
            return Err(EngineError::Internal { message });
        };
        let _nothing_is_done = self.end_idle_work();
        let copy = self.shared.threads.wait(StandIn::of(opened))?;
        let as_of = copy.as_of;
        *self.shared.source.lock() = Some(Source::Copy(Arc::new(copy)));
        Ok(as_of)
    }

    fn has_one_writer(&self) -> bool {
        true
    }

    fn snapshot(&self) -> Option<SystemTime> {
        self.shared.source.lock().as_ref().and_then(Source::as_of)
    }

    /// Nobody is kept out by files that we have open: a copy reads them too.
    fn has_file_open(&self) -> bool {
        self.attachment().is_some()
    }

    fn tidy(&self) {}

    fn idle_work(&self) {
        let running = Arc::new(Running::default());
        // Known before it begins: whoever ends it finds it, or it finds the database released.
        {
            let mut idle = self.shared.idle.lock();
            if idle.is_some() {
                drop(idle);
                // What has begun is not begun anew, and is done when it is.
                drop(self.at_work.lock());
                return;
            }
            *idle = Some(Arc::clone(&running));
        }
        let at_work = self.at_work.lock();
        let Some(opened) = self.shared.opened().filter(|opened| opened.attachment.access == Access::ReadWrite) else {
            self.shared.idle.lock().take_if(|own| Arc::ptr_eq(own, &running));
            return;
        };
        let work = async {
            maintain::optimize_idle(&opened, &running).await;
            Ok(())
        };
        if let Err(error) = self.shared.threads.wait(work) {
            tracing::debug!(%error, "nothing was done in an idle moment");
        }
        drop(at_work);
        self.shared.idle.lock().take_if(|own| Arc::ptr_eq(own, &running));
    }

    fn attachment(&self) -> Option<Attachment> {
        self.shared.opened().map(|opened| opened.attachment.clone())
    }

    fn verify(&self, _thorough: bool) -> Result<(), EngineError> {
        let Some(attached) = self.attachment() else {
            return Ok(());
        };
        let lost = |message: String| EngineError::FileLost { path: self.shared.path.clone(), message };
        match self.identity()? {
            None => Err(lost("there is no directory any more".to_owned())),
            Some((device, inode)) if (device, inode) != (attached.device, attached.inode) => {
                Err(lost(format!("the path names inode {inode} now; {} is attached", attached.inode)))
            }
            Some(_) => Ok(()),
        }
    }

    fn open_session(&self, options: &SessionOptions) -> Result<Box<dyn EngineSession>, EngineError> {
        Ok(Box::new(LanceSession::open(&self.shared, options)))
    }

    fn insert_shape(&self, sql: &str) -> Option<InsertShape> {
        merged::shape(sql)
    }

    fn settings(&self) -> Vec<(String, String)> {
        vec![("sync".to_owned(), self.options.sync.to_string())]
    }
}
