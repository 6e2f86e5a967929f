//! Which files nobody but DuckDB itself may touch, and when.
//!
//! DuckDB's lock is gone when its process opens and closes the locked path once more, and a client's SQL can write over
//! the file or its log. So every path that DuckDB is about to open, remove or replace is compared with the *protected*
//! files of this process: the database, its logs, and its sidecar; by inode where they exist, and by directory and name
//! where they do not. What would be written is compared with other databases' files too ([`crate::theirs`]): this process
//! may read them, for it has no lock on them that it could lose. Two walls ask here: `shim/`'s file system, which knows for whom DuckDB acts, and the system
//! calls of [`super::syscalls`], which see whatever goes round it.
//!
//! Nothing here opens a file: it is all `stat` and `readlink`.

use std::{
    cell::Cell,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use dbmux_os::theirs::{self, LOGS, SCRATCH, SIDECAR, Theirs, destination, with_suffix};
use parking_lot::RwLock;

/// Behind the database's name: dbmux's own.
const SIDECARS: [&str; 2] = [SIDECAR, SCRATCH];

/// A file that is named twice: by its path, and by its inode while it is attached.
struct Protected {
    path: PathBuf,
    /// The inode that is attached, wherever the path may lead by now.
    attached: RwLock<Option<(u64, u64)>>,
}

static FILES: RwLock<Vec<Arc<Protected>>> = RwLock::new(Vec::new());
/// The length of `FILES`: most processes have none, and are not to wait.
static COUNT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// How often this thread has been let through.
    static DOORS: Cell<u32> = const { Cell::new(0) };
    /// This thread attaches a database: DuckDB opens and locks it now.
    static ATTACHING: Cell<bool> = const { Cell::new(false) };
}

/// Protects a database's files as long as it lives.
pub(crate) struct Protection(Arc<Protected>);

impl Protection {
    /// Protects the database of this canonical path.
    pub(crate) fn of(path: &Path) -> Self {
        let protected = Arc::new(Protected { path: path.to_owned(), attached: RwLock::new(None) });
        let mut files = FILES.write();
        files.push(Arc::clone(&protected));
        COUNT.store(files.len(), Ordering::Release);
        Self(protected)
    }

    /// Protects this inode too, whatever its name; `None`: none any more.
    pub(crate) fn attached(&self, inode: Option<(u64, u64)>) {
        *self.0.attached.write() = inode;
    }
}

impl Drop for Protection {
    fn drop(&mut self) {
        let mut files = FILES.write();
        files.retain(|file| !Arc::ptr_eq(file, &self.0));
        COUNT.store(files.len(), Ordering::Release);
    }
}

/// Lets this thread through the wall of system calls while it lives.
pub(crate) struct Door(());

impl Door {
    pub(crate) fn open() -> Self {
        DOORS.set(DOORS.get() + 1);
        Self(())
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        DOORS.set(DOORS.get().saturating_sub(1));
    }
}

/// Says that this thread attaches a database, while it lives.
pub(crate) struct Attaching(());

impl Attaching {
    pub(crate) fn begin() -> Self {
        ATTACHING.set(true);
        Self(())
    }
}

impl Drop for Attaching {
    fn drop(&mut self) {
        ATTACHING.set(false);
    }
}

/// Whether this thread attaches a database now.
pub(super) fn is_attaching() -> bool {
    ATTACHING.get()
}

/// What a path leads to. The numbers are `shim/`'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Verdict {
    /// Anything.
    Free = 0,
    /// A file of the database, which DuckDB itself may use.
    Ours = 1,
    /// The database, for somebody who may not.
    Database = 2,
    /// One of its logs.
    Log = 3,
    /// Its sidecar.
    Sidecar = 4,
    /// A stream of this process.
    Stream = 5,
    /// Another database that dbmux keeps.
    TheirDatabase = 6,
    /// Another database's log.
    TheirLog = 7,
    /// A lock's file.
    TheirSidecar = 8,
    /// In another database's folder for spilled data, or in ours for a client.
    Scratch = 9,
    /// In the runtime directory.
    Runtime = 10,
}

impl From<Theirs> for Verdict {
    fn from(theirs: Theirs) -> Self {
        match theirs {
            Theirs::Database => Self::TheirDatabase,
            Theirs::Log => Self::TheirLog,
            Theirs::Sidecar => Self::TheirSidecar,
            Theirs::Scratch => Self::Scratch,
            Theirs::Runtime => Self::Runtime,
        }
    }
}

/// What is asked for. The numbers are `shim/`'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Opening, to read.
    Open,
    /// Opening to write, making, or renaming to it.
    Write,
    /// Removing, or renaming from it.
    Remove,
    /// Removing a directory and all in it.
    RemoveTree,
}

/// Decides for DuckDB's file system. `client`: for a client's statement, not for DuckDB itself.
pub(crate) fn decide(path: &Path, client: bool, operation: Operation) -> Verdict {
    // DuckDB itself opens what is attached, whoever asked for that: the database, or a copy by its descriptor.
    if is_attaching() && FILES.read().iter().any(|file| file.path == path) {
        return Verdict::Ours;
    }
    if client && is_stream(path) {
        return Verdict::Stream;
    }
    if COUNT.load(Ordering::Acquire) == 0 {
        return Verdict::Free;
    }
    let found = match operation {
        Operation::RemoveTree => within(path),
        Operation::Open | Operation::Write | Operation::Remove => lookup(path),
    };
    match found {
        None => theirs(path, client, operation).map_or(Verdict::Free, Verdict::from),
        Some((_, verdict)) if client => verdict,
        // It keeps its logs under their own names.
        Some((file, Verdict::Log)) if LOGS.iter().any(|log| path == with_suffix(&file.path, log)) => Verdict::Ours,
        Some((_, verdict)) => verdict,
    }
}

/// Whether the wall of system calls refuses this path to this thread. Our own sidecar is not DuckDB's to begin with, and
/// is opened by others in this process, as our socket is removed by them; DuckDB reaches both through its file system
/// only.
pub(super) fn is_refused(path: &Path, operation: Operation) -> bool {
    if COUNT.load(Ordering::Acquire) == 0 || DOORS.get() > 0 {
        return false;
    }
    match lookup(path) {
        Some((_, verdict)) => matches!(verdict, Verdict::Database | Verdict::Log),
        None => match theirs(path, false, operation) {
            Some(Theirs::Runtime) => operation == Operation::Write,
            found => found.is_some(),
        },
    }
}

/// What a path that is none of ours is to others.
fn theirs(path: &Path, client: bool, operation: Operation) -> Option<Theirs> {
    // DuckDB itself spills into our folder. A client has no business there, but for the copies that it attaches.
    let ours = || match client && !is_attaching() {
        true => Vec::new(),
        false => FILES.read().iter().map(|file| file.path.clone()).collect(),
    };
    match operation {
        Operation::Open => None,
        Operation::Write | Operation::Remove => theirs::find(path, &ours()),
        Operation::RemoveTree => theirs::find_within(path, &ours()),
    }
}

/// `/dev/stdin` and its like, which are the broker's, not the client's.
fn is_stream(path: &Path) -> bool {
    let text = path.as_os_str().as_bytes();
    [b"/dev/std".as_slice(), b"/dev/fd/", b"/dev/tty", b"/proc/self/", b"/proc/thread-self/"]
        .iter()
        .any(|prefix| text.starts_with(prefix))
}

/// The protected file that a path leads to, and which one of its files that is.
fn lookup(path: &Path) -> Option<(Arc<Protected>, Verdict)> {
    let files = FILES.read().clone();
    let inode = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    if let Some(target) = inode(path) {
        return files.into_iter().find_map(|file| {
            let is = |suffix: &str| inode(&with_suffix(&file.path, suffix)) == Some(target);
            let verdict = if *file.attached.read() == Some(target) || is("") {
                Verdict::Database
            } else if LOGS.iter().any(|log| is(log)) {
                Verdict::Log
            } else if SIDECARS.iter().any(|sidecar| is(sidecar)) {
                Verdict::Sidecar
            } else {
                return None;
            };
            Some((file, verdict))
        });
    }
    // It is not there yet: compare where it would be.
    let target = destination(path)?;
    let (folder, name) = (inode(target.parent()?)?, target.file_name()?.to_owned());
    files.into_iter().find_map(|file| {
        if file.path.parent().and_then(&inode) != Some(folder) {
            return None;
        }
        let is = |suffix: &&str| with_suffix(&file.path, suffix).file_name() == Some(name.as_os_str());
        let verdict = if is(&"") {
            Verdict::Database
        } else if LOGS.iter().any(is) {
            Verdict::Log
        } else if SIDECARS.iter().any(is) {
            Verdict::Sidecar
        } else {
            return None;
        };
        Some((file, verdict))
    })
}

/// The protected file that lies under a directory.
fn within(path: &Path) -> Option<(Arc<Protected>, Verdict)> {
    let folder = fs::canonicalize(path).ok()?;
    let files = FILES.read().clone();
    files.into_iter().find(|file| file.path.starts_with(&folder)).map(|file| (file, Verdict::Database))
}

/// Decides for `shim/`.
///
/// # Safety
/// `path` must point to `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn dbmux_guard_decide(path: *const u8, length: usize, client: bool, operation: u8) -> u8 {
    // SAFETY: the caller says so.
    let bytes = unsafe { std::slice::from_raw_parts(path, length) };
    let operation = match operation {
        0 => Operation::Open,
        1 => Operation::Write,
        2 => Operation::Remove,
        _ => Operation::RemoveTree,
    };
    decide(Path::new(OsStr::from_bytes(bytes)), client, operation) as u8
}

/// Whether this thread attaches a database now.
#[unsafe(no_mangle)]
extern "C" fn dbmux_is_attaching() -> bool {
    is_attaching()
}

/// Lets this thread through the wall of system calls.
#[unsafe(no_mangle)]
extern "C" fn dbmux_door_open() {
    std::mem::forget(Door::open());
}

/// Ends what [`dbmux_door_open`] began.
#[unsafe(no_mangle)]
extern "C" fn dbmux_door_close() {
    drop(Door(()));
}
