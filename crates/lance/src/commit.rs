//! How a table's new version becomes the latest.
//!
//! Lance writes a version's files, then its manifest under the version's number, which only one writer can take. It syncs
//! nothing: after a power cut a manifest could name files that never reached the disk. So, before the manifest is written,
//! the files that it names are synced that were not known to be; and before the write is acknowledged, the manifest is.
//!
//! It is also the one place that knows whether an operation can still be given up: before it, nothing has happened;
//! behind it, everything has. An interrupt between the two waits: for its end, or for a conflict, after which it would be
//! tried again. Of an operation in steps each commit is one, and it can be given up between them.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
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
use tokio::sync::Notify;

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing has happened yet, or a step is done and the next one has not begun.
    Open,
    /// It shall not happen.
    GivenUp,
    /// It is happening, or has.
    Committing,
}

/// An operation.
#[derive(Debug)]
struct State {
    phase: Phase,
    /// Somebody wants it to be given up as soon as that can be.
    asked: bool,
    /// Each of its commits is a step of its own: between two of them it can be given up.
    stepwise: bool,
}

/// What is known of a table, by all who write to it here.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Its files, relative to its directory, that are known to be on the disk. Their names are never used again.
    synced: Mutex<HashSet<String>>,
    seen: Mutex<Seen>,
    /// Who has it makes an index, or few files of many: each of these would lose to another one, at its end.
    rearranging: tokio::sync::Mutex<()>,
    /// Who has it commits, or moves the table's directory away: a commit makes folders where there are none.
    gate: tokio::sync::Mutex<()>,
}

/// The last versions of a table.
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

/// What is known of which table, by its name and its directory's inode: kept while the database is released.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<HashMap<String, (u64, Arc<Known>)>>);

impl Ledger {
    /// What is known of a table.
    pub(crate) fn of(&self, name: &str, inode: u64) -> Arc<Known> {
        let mut tables = self.0.lock();
        match tables.get(name) {
            Some((known, table)) if *known == inode => Arc::clone(table),
            _ => {
                let table = Arc::<Known>::default();
                tables.insert(name.to_owned(), (inode, Arc::clone(&table)));
                table
            }
        }
    }

    /// Of a table that is gone.
    pub(crate) fn forget(&self, name: &str) {
        self.0.lock().remove(name);
    }
}

/// Commits new versions of one table.
#[derive(Debug)]
pub(crate) struct Committer {
    /// Lance's own, for local files.
    inner: ConditionalPutCommitHandler,
    /// The table's.
    directory: PathBuf,
    /// The directory's, of a table that was there.
    inode: Option<u64>,
    known: Arc<Known>,
    /// Commits are synced.
    sync: bool,
    state: Mutex<State>,
    /// Told when an operation was given up behind one of its steps.
    given_up: Notify,
    /// What kept a committed version from being synced.
    unsynced: Mutex<Option<io::Error>>,
}

impl Committer {
    pub(crate) fn new(directory: PathBuf, inode: Option<u64>, known: Arc<Known>, sync: bool) -> Self {
        Self {
            inner: ConditionalPutCommitHandler,
            directory,
            inode,
            known,
            sync,
            state: Mutex::new(State { phase: Phase::Open, asked: false, stepwise: false }),
            given_up: Notify::new(),
            unsynced: Mutex::default(),
        }
    }

    /// The right to rearrange the table's files.
    pub(crate) fn rearranging(&self) -> &tokio::sync::Mutex<()> {
        &self.known.rearranging
    }

    /// How long the next operation is to be put off, for the sake of another writer that is at work on the same table.
    pub(crate) fn room_for_others(&self) -> Duration {
        let seen = self.known.seen.lock();
        match (seen.own, seen.others) {
            (Some((_, made)), Some(others)) if others.elapsed() < AT_WORK => ROOM.saturating_sub(made.elapsed()),
            _ => Duration::ZERO,
        }
    }

    /// A version was made here: one between it and the last one was another writer's.
    fn made(&self, version: u64) {
        let mut seen = self.known.seen.lock();
        let now = Instant::now();
        if seen.own.is_some_and(|(last, _)| version > last + 1) {
            seen.others = Some(now);
        }
        if seen.own.is_none_or(|(last, _)| version > last) {
            seen.own = Some((version, now));
        }
    }

    /// A version was made already that was to be made here: by another writer, unless it is one of ours.
    fn lost(&self, version: u64) {
        let mut seen = self.known.seen.lock();
        if seen.own.is_none_or(|(last, _)| last < version) {
            seen.others = Some(Instant::now());
        }
    }

    /// The table is the one that was opened: not dropped meanwhile, nor made anew under its name.
    fn is_there(&self) -> io::Result<()> {
        let Some(inode) = self.inode else { return Ok(()) };
        match fs::metadata(&self.directory) {
            Ok(found) if found.ino() == inode => Ok(()),
            Ok(_) | Err(_) => Err(io::Error::other("the table was dropped meanwhile")),
        }
    }

    /// The table was dropped, or made anew, since it was opened.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_there().is_err()
    }

    /// Nobody commits to the table, or moves its directory away, until the guard is dropped.
    pub(crate) async fn stands_still(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.known.gate.lock().await
    }

    /// An operation begins. The caller sees to it that there is one at a time.
    pub(crate) fn begin(&self, stepwise: bool) {
        *self.state.lock() = State { phase: Phase::Open, asked: false, stepwise };
        *self.unsynced.lock() = None;
    }

    /// Gives the operation up, if that can be: it will not be committed then. If not, that is done as soon as it can be.
    pub(crate) fn give_up(&self) -> bool {
        let mut state = self.state.lock();
        state.asked = true;
        if state.phase == Phase::Open {
            state.phase = Phase::GivenUp;
        }
        state.phase == Phase::GivenUp
    }

    /// Returns when the operation was given up behind one of its steps, or after a commit that came to nothing.
    pub(crate) async fn given_up(&self) {
        while !self.was_given_up() {
            self.given_up.notified().await;
        }
    }

    /// The operation was given up in time.
    pub(crate) fn was_given_up(&self) -> bool {
        self.state.lock().phase == Phase::GivenUp
    }

    /// What kept the committed version from being synced, if anything did.
    pub(crate) fn unsynced(&self) -> Option<io::Error> {
        self.unsynced.lock().take()
    }

    /// A commit begins, unless the operation was given up.
    fn enter(&self) -> bool {
        let mut state = self.state.lock();
        let may = state.phase != Phase::GivenUp;
        if may {
            state.phase = Phase::Committing;
        }
        may
    }

    /// A commit has come to nothing, or was a step.
    fn reopen(&self) {
        let mut state = self.state.lock();
        state.phase = if state.asked { Phase::GivenUp } else { Phase::Open };
        if state.asked {
            self.given_up.notify_one();
        }
    }

    /// Syncs what a version names, as far as it is not known to be on the disk.
    fn sync_files(&self, files: Vec<String>) -> io::Result<()> {
        let mut folders = HashSet::new();
        let new: Vec<PathBuf> = {
            let synced = self.known.synced.lock();
            if synced.is_empty() {
                // Whoever made the table may have synced nothing.
                folders.insert(self.directory.clone());
                folders.extend(self.directory.parent().map(Path::to_owned));
            }
            files.iter().filter(|file| !synced.contains(*file)).map(|file| self.directory.join(file)).collect()
        };
        for path in new {
            sync(&path)?;
            // The folder that it is in may be new, too.
            let above = path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.directory));
            folders.extend(above.map(Path::to_owned));
        }
        for folder in folders {
            sync(&folder)?;
        }
        *self.known.synced.lock() = files.into_iter().collect();
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
pub(crate) fn named(
    manifest: &Manifest,
    indices: Option<&[IndexMetadata]>,
    directory: &Path,
) -> io::Result<Vec<String>> {
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
        if self.sync {
            let files = named(manifest, indices.as_deref(), &self.directory).map_err(other)?;
            tokio::task::block_in_place(|| self.sync_files(files)).map_err(other)?;
        }
        let _still = self.stands_still().await;
        self.is_there().map_err(other)?;
        if !self.enter() {
            return Err(other(io::Error::from(io::ErrorKind::Interrupted)));
        }
        let version = manifest.version;
        let outcome = self
            .inner
            .commit(manifest, indices, base_path, object_store, manifest_writer, naming_scheme, transaction)
            .await;
        match &outcome {
            Ok(location) => {
                if self.sync {
                    let name = location.path.filename().unwrap_or_default().to_owned();
                    let synced = tokio::task::block_in_place(|| self.sync_manifest(&name, version == 1));
                    *self.unsynced.lock() = synced.err();
                }
                self.made(version);
                if self.state.lock().stepwise {
                    self.reopen();
                }
            }
            // Another writer took the number: it may be tried again, and given up before that.
            Err(CommitError::CommitConflict) => {
                self.lost(version);
                self.reopen();
            }
            Err(CommitError::OtherError(_)) => {}
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committer() -> Committer {
        Committer::new(PathBuf::from("/nowhere"), None, Arc::default(), true)
    }

    #[test]
    fn an_operation_is_given_up_before_its_commit_and_not_behind_it() {
        let committer = committer();
        committer.begin(false);
        assert!(committer.give_up() && committer.was_given_up() && !committer.enter());
        committer.begin(false);
        assert!(committer.enter() && !committer.give_up() && !committer.was_given_up());
        // It has come to nothing: it is not tried again.
        committer.reopen();
        assert!(committer.was_given_up() && !committer.enter());
    }

    #[tokio::test]
    async fn nothing_is_committed_to_a_table_that_is_another_one_now() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("t.lance");
        fs::create_dir(&table).unwrap();
        // Open, so that its inode is not used again.
        let kept = File::open(&table).unwrap();
        let inode = kept.metadata().unwrap().ino();
        let committer = Committer::new(table.clone(), Some(inode), Arc::default(), true);
        assert!(committer.is_there().is_ok());
        fs::rename(&table, folder.path().join("dropped")).unwrap();
        assert!(committer.is_there().is_err());
        fs::create_dir(&table).unwrap();
        assert!(committer.is_there().is_err());
        // Who moves it away waits for a commit, and the other way round.
        let still = committer.stands_still().await;
        let other = Committer::new(table, Some(inode), Arc::clone(&committer.known), true);
        assert!(other.known.gate.try_lock().is_err());
        drop(still);
        assert!(other.known.gate.try_lock().is_ok());
    }

    #[test]
    fn each_step_is_a_commit() {
        let committer = committer();
        committer.begin(true);
        assert!(committer.enter());
        committer.reopen();
        assert!(committer.enter() && !committer.give_up());
        committer.reopen();
        assert!(committer.was_given_up() && !committer.enter());
    }

    #[test]
    fn others_are_left_room_while_their_versions_are_met() {
        let committer = committer();
        for version in [3, 4, 5] {
            committer.made(version);
            assert_eq!(committer.room_for_others(), Duration::ZERO);
        }
        // What we have made ourselves is nobody else's.
        committer.lost(5);
        assert_eq!(committer.room_for_others(), Duration::ZERO);
        committer.made(7);
        let room = committer.room_for_others();
        assert!(room > Duration::ZERO && room <= ROOM, "{room:?}");
        // Whoever else commits here knows of it.
        let other = Committer::new(PathBuf::from("/nowhere"), None, Arc::clone(&committer.known), true);
        assert!(other.room_for_others() > Duration::ZERO);
    }
}
