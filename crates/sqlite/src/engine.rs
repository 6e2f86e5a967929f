//! One file, and what is connected to it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::SystemTime,
};

use dbmux_engine::{
    Access, Attachment, CatalogSql, Engine, EngineError, EngineSession, IngestSql, InsertShape, SessionOptions, insert,
};
use dbmux_os::file_id::FileId;
use rusqlite::backup::StepResult;

use crate::{
    catalog::CATALOG,
    connection::Connection,
    copy, errors,
    ffi::Failure,
    ingest::INGEST,
    kind::{check_kind, unusable},
    options::{SqliteOptions, Synchronous},
    place::{Copy, Place, remove_if_empty},
    session::SqliteSession,
    shared::{Shared, internal},
    slot::Closed,
};

/// Numbers the copies of this process.
static COPIES: AtomicU64 = AtomicU64::new(1);

/// SQLite's side of one database file.
pub struct SqliteEngine {
    shared: Arc<Shared>,
    /// What dead owners left behind has been swept.
    swept: AtomicBool,
}

impl SqliteEngine {
    /// Serves a file, by its canonical path; opens nothing.
    pub fn new(path: impl Into<PathBuf>, options: SqliteOptions) -> Self {
        Self { shared: Arc::new(Shared::new(path.into(), options)), swept: AtomicBool::new(false) }
    }

    /// What the path names now; `None`: nothing.
    fn identity(&self) -> Result<Option<FileId>, EngineError> {
        match FileId::of_path(&self.shared.path) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(&self.shared.path, &error)),
        }
    }

    fn error(&self, failure: &Failure) -> EngineError {
        errors::of(failure, &self.shared.path)
    }

    /// The engine's own connection: as long as it is there, the log stays, whatever sessions come and go.
    fn anchor(&self, place: &Arc<Place>) -> Result<Connection, Failure> {
        let Shared { options, open, .. } = self.shared.as_ref();
        let connection = Connection::open(place, options, open.enter(), false, true)?;
        // Whether it can be read: a file is opened with its first use only.
        connection.run("SELECT count(*) FROM sqlite_schema")?;
        if place.access == Access::ReadWrite && !options.keep_journal_mode {
            match connection.run("PRAGMA journal_mode = WAL") {
                // A change of the mode opens no log yet, nor keeps a lock: whoever closes would take the log along, or two at
                // once would leave it to each other, and this one could not take it.
                Ok(()) => connection.run("SELECT count(*) FROM sqlite_schema")?,
                // Others have it open, or the file system has no shared memory: it works as it is.
                Err(Failure { code, .. }) if is_busy(code) => {
                    tracing::info!(path = %self.shared.path.display(), "the journal mode stays as it is: the file is in use");
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(connection)
    }

    /// Removes what an owner that was killed left, which nobody else may have made now.
    fn sweep(&self) {
        if self.swept.swap(true, Ordering::Relaxed) {
            return;
        }
        let scratch = self.shared.scratch();
        match fs::remove_dir_all(&scratch) {
            Ok(()) => {
                let _ = scratch.parent().map(fs::remove_dir);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(%error, scratch = %scratch.display(), "what a former owner left could not be removed");
            }
        }
    }

    /// A name for a copy, which is removed with the answer.
    fn new_copy(&self) -> Result<Copy, EngineError> {
        let scratch = self.shared.scratch();
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
        let name = format!("snapshot-{}-{number}.sqlite", std::process::id());
        Copy::new(&scratch, &name).map_err(|error| unusable(&scratch, &error))
    }

    /// Copies the file as it is at one moment, whoever writes to it meanwhile.
    fn back_up(&self, place: &Arc<Place>) -> Result<(Copy, SystemTime), EngineError> {
        let failed = |failure: Failure| self.error(&failure);
        let copy = self.new_copy()?;
        let Shared { options, open, .. } = self.shared.as_ref();
        let source = Connection::open(place, options, open.enter(), true, false).map_err(failed)?;
        let as_of = SystemTime::now();
        // A transaction: the copy is of one moment, however long it takes.
        source.run("BEGIN; SELECT count(*) FROM sqlite_schema").map_err(failed)?;
        // It is gone with this process, whatever becomes of the machine.
        let done = source.handle.with(|source| copy::write(source, &copy.0, Synchronous::Off));
        match done.map_err(|error| failed(error.into()))? {
            StepResult::Done => Ok((copy, as_of)),
            _ => {
                Err(EngineError::Locked { path: self.shared.path.clone(), message: "it cannot be read now".to_owned() })
            }
        }
    }

    /// Lets a copy answer, and closes the file as far as nothing runs there.
    fn put_in_its_place(&self, copy: Copy, as_of: SystemTime) {
        self.shared.set_place(Some(Place::copy(copy, as_of)));
        *self.shared.attachment.lock() = None;
        self.leave();
    }

    /// Closes what is open on anything but what answers now, as far as nothing runs there.
    fn leave(&self) {
        for slot in self.shared.slots() {
            if let Err(error) = slot.close(&self.shared, true) {
                tracing::warn!(%error, "a connection stays open");
            }
        }
    }
}

fn is_busy(code: i32) -> bool {
    matches!(code & 0xff, rusqlite::ffi::SQLITE_BUSY | rusqlite::ffi::SQLITE_LOCKED)
}

impl Engine for SqliteEngine {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn version(&self) -> String {
        rusqlite::version().to_owned()
    }

    fn path(&self) -> &Path {
        &self.shared.path
    }

    fn catalog(&self) -> &str {
        "main"
    }

    fn catalog_sql(&self) -> CatalogSql {
        CATALOG
    }

    fn ingest_sql(&self) -> IngestSql {
        INGEST
    }

    fn notices(&self) -> Vec<String> {
        Vec::new()
    }

    fn has_one_writer(&self) -> bool {
        true
    }

    fn foretells_columns(&self) -> bool {
        false
    }

    fn attach(&self, access: Access) -> Result<Attachment, EngineError> {
        let mut attachment = self.shared.attachment.lock();
        if let Some(attached) = attachment.as_ref() {
            return Ok(attached.clone());
        }
        let path = &self.shared.path;
        let exists = self.identity()?.is_some();
        // Closing a file drops SQLite's locks on it: while anything of ours has it open, SQLite itself must tell.
        if exists && !self.shared.open.any() {
            check_kind(path)?;
        } else if !exists && (access == Access::ReadOnly || !path.parent().is_some_and(Path::is_dir)) {
            return Err(EngineError::NotFound { path: path.clone() });
        }
        let place = Place::file(path, access);
        let anchor = self.anchor(&place).map_err(|failure| self.error(&failure))?;
        let Some(FileId { device, inode }) = self.identity()? else {
            return Err(EngineError::FileLost {
                path: path.clone(),
                message: "it vanished while it was attached".to_owned(),
            });
        };
        if access == Access::ReadWrite {
            self.sweep_unless_in_use();
        }
        *self.shared.anchor.lock() = Some(anchor);
        self.shared.set_place(Some(place));
        let attached = Attachment { access, device, inode };
        *attachment = Some(attached.clone());
        drop(attachment);
        self.leave();
        Ok(attached)
    }

    fn release(&self) -> Result<(), EngineError> {
        let mut attachment = self.shared.attachment.lock();
        let Some(place) = self.shared.place() else {
            return Ok(());
        };
        self.shared.set_place(None);
        for slot in self.shared.slots() {
            let busy = match slot.close(&self.shared, false) {
                Ok(Closed::Yes) => continue,
                Ok(Closed::Busy) => internal("a session is at work"),
                Err(error) => error,
            };
            // As it was: whoever was closed opens again.
            self.shared.set_place(Some(place));
            return Err(busy);
        }
        if let Some(anchor) = self.shared.anchor.lock().take()
            && place.access == Access::ReadWrite
        {
            // The last to close does it too, but not beside foreign programs; what they still read stays in the log.
            if let Err(failure) = anchor.run("PRAGMA wal_checkpoint(TRUNCATE)") {
                tracing::info!(error = failure.message, "the log stays");
            }
        }
        *attachment = None;
        Ok(())
    }

    fn settle(&self) -> Result<(), EngineError> {
        let anchor = self.shared.anchor.lock();
        let connection = anchor.as_ref().ok_or_else(|| self.shared.released())?;
        let busy = connection
            .handle
            .with(|connection| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)));
        match busy.map_err(|error| self.error(&error.into()))? {
            0 => Ok(()),
            _ => Err(EngineError::Conflict { message: "others still read what was before the last change".to_owned() }),
        }
    }

    fn stand_in(&self, copy: File, as_of: SystemTime) -> Result<(), EngineError> {
        if self.attachment().is_none() {
            return Err(self.shared.released());
        }
        let named = self.new_copy()?;
        let mut copy = copy;
        let copied = io::Seek::rewind(&mut copy).and_then(|()| io::copy(&mut copy, &mut File::create(&named.0)?));
        copied.map_err(|error| unusable(&named.0, &error))?;
        self.put_in_its_place(named, as_of);
        Ok(())
    }

    fn copies_by_itself(&self) -> bool {
        true
    }

    fn stand_in_by_itself(&self) -> Result<SystemTime, EngineError> {
        let place = self.shared.place().filter(|_| self.attachment().is_some());
        let (copy, as_of) = self.back_up(&place.ok_or_else(|| self.shared.released())?)?;
        self.put_in_its_place(copy, as_of);
        Ok(as_of)
    }

    fn snapshot(&self) -> Option<SystemTime> {
        self.shared.place().and_then(|place| place.as_of)
    }

    fn has_file_open(&self) -> bool {
        if self.attachment().is_none() && self.shared.open.only_one() {
            // The engine's own connection is the last to go, and takes the log along: one that may only read could not, and
            // two at once would leave it to each other.
            self.shared.anchor.lock().take();
        }
        self.shared.open.any()
    }

    fn tidy(&self) {
        remove_if_empty(&self.shared.scratch());
    }

    fn attachment(&self) -> Option<Attachment> {
        self.shared.attachment.lock().clone()
    }

    fn verify(&self, _thorough: bool) -> Result<(), EngineError> {
        let Some(attached) = self.attachment() else {
            return Ok(());
        };
        let lost = |message: String| Err(EngineError::FileLost { path: self.shared.path.clone(), message });
        match self.identity()? {
            None => lost("there is no file any more".to_owned()),
            Some(found) if (found.device, found.inode) != (attached.device, attached.inode) => {
                lost(format!("the path names inode {} now; {} is attached", found.inode, attached.inode))
            }
            Some(_) => Ok(()),
        }
    }

    fn open_session(&self, options: &SessionOptions) -> Result<Box<dyn EngineSession>, EngineError> {
        Ok(Box::new(SqliteSession::open(&self.shared, options)))
    }

    fn insert_shape(&self, sql: &str) -> Option<InsertShape> {
        insert::recognise(sql).map(|insert| insert.shape)
    }

    fn settings(&self) -> Vec<(String, String)> {
        vec![("synchronous".to_owned(), self.shared.options.synchronous.word().to_owned())]
    }
}

impl SqliteEngine {
    /// A copy that answers still lies there.
    fn sweep_unless_in_use(&self) {
        if self.snapshot().is_none() {
            self.sweep();
        }
    }
}
