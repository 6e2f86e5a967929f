//! How a table's new version becomes the latest.
//!
//! Lance writes a version's files, then its manifest under the version's number, which only one writer can take. It syncs
//! nothing: after a power cut a manifest could name files that never reached the disk. So, before the manifest is written,
//! the files that it names are synced that were not known to be; and before the write is acknowledged, the manifest is.
//!
//! It is also the one place that knows whether an operation can still be given up: before it, nothing has happened;
//! behind it, everything has. An interrupt between the two waits.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use lance_io::object_store::ObjectStore;
use lance_table::{
    format::{IndexMetadata, Manifest, Transaction},
    io::{
        commit::{
            CommitError, CommitHandler, ConditionalPutCommitHandler, ManifestLocation, ManifestNamingScheme,
            ManifestWriter,
        },
        deletion::relative_deletion_file_path,
    },
};
use object_store::path::Path as StorePath;
use parking_lot::Mutex;

/// Nothing has happened yet.
const OPEN: u8 = 0;
/// It shall not happen.
const GIVEN_UP: u8 = 1;
/// It is happening, or has.
const COMMITTING: u8 = 2;

/// The files of a table, relative to its directory, that are known to be on the disk. Their names are never used again.
pub(crate) type Synced = Arc<Mutex<HashSet<String>>>;

/// What is known of which table, by its name and its directory's inode: kept while the database is released.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<HashMap<String, (u64, Synced)>>);

impl Ledger {
    /// What is known of a table.
    pub(crate) fn of(&self, name: &str, inode: u64) -> Synced {
        let mut tables = self.0.lock();
        match tables.get(name) {
            Some((known, synced)) if *known == inode => Arc::clone(synced),
            _ => {
                let synced = Synced::default();
                tables.insert(name.to_owned(), (inode, Arc::clone(&synced)));
                synced
            }
        }
    }
}

/// Commits new versions of one table.
#[derive(Debug)]
pub(crate) struct Committer {
    /// Lance's own, for local files.
    inner: ConditionalPutCommitHandler,
    /// The table's.
    directory: PathBuf,
    /// `None`: nothing is synced.
    synced: Option<Synced>,
    state: AtomicU8,
    /// What kept a committed version from being synced.
    unsynced: Mutex<Option<io::Error>>,
    seen: Mutex<Seen>,
}

/// What is known of the table's last versions.
#[derive(Debug, Default)]
struct Seen {
    /// The last one made here, and when.
    own: Option<(u64, Instant)>,
    /// When it was noticed last that another writer had made one.
    others: Option<Instant>,
}

/// For how long another writer is thought to be at work, after one of its versions was met.
const AT_WORK: Duration = Duration::from_secs(1);
/// What is left to it then, between two versions of ours: enough to read our last one and commit on top of it. Whoever
/// commits without a pause would have it lose each time, until it gives up.
const ROOM: Duration = Duration::from_millis(50);

impl Committer {
    pub(crate) fn new(directory: PathBuf, synced: Option<Synced>) -> Self {
        Self {
            inner: ConditionalPutCommitHandler,
            directory,
            synced,
            state: AtomicU8::new(OPEN),
            unsynced: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// How long the next operation is to be put off, for the sake of another writer that is at work on the same table.
    pub(crate) fn room_for_others(&self) -> Duration {
        let seen = self.seen.lock();
        match (seen.own, seen.others) {
            (Some((_, made)), Some(others)) if others.elapsed() < AT_WORK => ROOM.saturating_sub(made.elapsed()),
            _ => Duration::ZERO,
        }
    }

    /// A version is made here: one between it and the last one was another writer's.
    fn made(&self, version: u64) {
        let mut seen = self.seen.lock();
        let now = Instant::now();
        if seen.own.is_some_and(|(last, _)| version > last + 1) {
            seen.others = Some(now);
        }
        seen.own = Some((version, now));
    }

    /// An operation begins. The caller sees to it that there is one at a time.
    pub(crate) fn begin(&self) {
        self.state.store(OPEN, Ordering::SeqCst);
        *self.unsynced.lock() = None;
    }

    /// What it has committed is a step of its own: the rest can be given up.
    pub(crate) fn next_step(&self) {
        // Given up already: that stays.
        let _ = self.state.compare_exchange(COMMITTING, OPEN, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Gives the operation up, if that can be: it will not be committed then.
    pub(crate) fn give_up(&self) -> bool {
        let found = self.state.compare_exchange(OPEN, GIVEN_UP, Ordering::SeqCst, Ordering::SeqCst);
        !matches!(found, Err(COMMITTING))
    }

    /// The operation was given up in time.
    pub(crate) fn was_given_up(&self) -> bool {
        self.state.load(Ordering::SeqCst) == GIVEN_UP
    }

    /// What kept the committed version from being synced, if anything did.
    pub(crate) fn unsynced(&self) -> Option<io::Error> {
        self.unsynced.lock().take()
    }

    /// Syncs what a version names, as far as it is not known to be on the disk.
    fn sync_files(&self, synced: &Synced, files: Vec<String>) -> io::Result<()> {
        let mut synced = synced.lock();
        let mut folders = HashSet::new();
        if synced.is_empty() {
            // Whoever made the table may have synced nothing.
            folders.insert(self.directory.clone());
            folders.extend(self.directory.parent().map(Path::to_owned));
        }
        for file in files.iter().filter(|file| !synced.contains(*file)) {
            let path = self.directory.join(file);
            sync(&path)?;
            folders.extend(path.parent().map(Path::to_owned));
        }
        for folder in folders {
            sync(&folder)?;
        }
        *synced = files.into_iter().collect();
        Ok(())
    }

    /// Syncs the manifest, and the directories that a first version has made.
    fn sync_manifest(&self, name: &str, first: bool) -> io::Result<()> {
        let versions = self.directory.join("_versions");
        sync(&versions.join(name))?;
        sync(&versions)?;
        if first {
            sync(&self.directory)?;
            self.directory.parent().map_or(Ok(()), sync)?;
        }
        Ok(())
    }
}

/// Waits until a file's contents, or a folder's names, are on the disk.
fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The files that a version names, relative to the table's directory.
fn named(manifest: &Manifest, indices: Option<&[IndexMetadata]>, directory: &Path) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    for fragment in manifest.fragments.iter() {
        let own = fragment.files.iter().filter(|file| file.base_id.is_none());
        files.extend(own.map(|file| format!("data/{}", file.path)));
        let deletions = fragment.deletion_file.iter().filter(|file| file.base_id.is_none());
        files.extend(deletions.map(|file| relative_deletion_file_path(fragment.id, file)));
    }
    files.extend(manifest.transaction_file.iter().map(|file| format!("_transactions/{file}")));
    for index in indices.unwrap_or_default() {
        let folder = format!("_indices/{}", index.uuid);
        for entry in fs::read_dir(directory.join(&folder)).into_iter().flatten() {
            let name = entry?.file_name();
            files.extend(name.to_str().map(|name| format!("{folder}/{name}")));
        }
    }
    Ok(files)
}

fn other(error: io::Error) -> CommitError {
    CommitError::OtherError(lance_core::Error::from(error))
}

#[async_trait::async_trait]
impl CommitHandler for Committer {
    fn is_version_not_found_definitive(&self) -> bool {
        self.inner.is_version_not_found_definitive()
    }

    fn propagate_commit_error_after_success(&self) -> bool {
        self.inner.propagate_commit_error_after_success()
    }

    async fn commit(
        &self,
        manifest: &mut Manifest,
        indices: Option<Vec<IndexMetadata>>,
        base_path: &StorePath,
        object_store: &ObjectStore,
        manifest_writer: ManifestWriter,
        naming_scheme: ManifestNamingScheme,
        transaction: Option<Transaction>,
    ) -> Result<ManifestLocation, CommitError> {
        if let Some(synced) = &self.synced {
            let files = named(manifest, indices.as_deref(), &self.directory).map_err(other)?;
            tokio::task::block_in_place(|| self.sync_files(synced, files)).map_err(other)?;
        }
        let begun = self.state.compare_exchange(OPEN, COMMITTING, Ordering::SeqCst, Ordering::SeqCst);
        if begun == Err(GIVEN_UP) {
            return Err(other(io::Error::from(io::ErrorKind::Interrupted)));
        }
        let version = manifest.version;
        let outcome = self
            .inner
            .commit(manifest, indices, base_path, object_store, manifest_writer, naming_scheme, transaction)
            .await;
        match &outcome {
            Ok(location) => {
                if self.synced.is_some() {
                    let name = location.path.filename().unwrap_or_default().to_owned();
                    let synced = tokio::task::block_in_place(|| self.sync_manifest(&name, version == 1));
                    *self.unsynced.lock() = synced.err();
                }
                self.made(version);
            }
            // Another writer took the number: it may be tried again, and given up before that.
            Err(CommitError::CommitConflict) => {
                self.seen.lock().others = Some(Instant::now());
                self.state.store(OPEN, Ordering::SeqCst);
            }
            Err(CommitError::OtherError(_)) => {}
        }
        outcome
    }
}
