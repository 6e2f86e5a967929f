//! What sessions read and write now: the file, or a copy that stands in for it.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use dbmux_engine::Access;
use parking_lot::Mutex;

/// A file that connections are opened on.
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) access: Access,
    /// Set for a copy: as of when it is true.
    pub(crate) as_of: Option<SystemTime>,
    /// The copy's file, which goes with it.
    _copy: Option<Copy>,
}

impl Place {
    pub(crate) fn file(path: &Path, access: Access) -> Arc<Self> {
        Arc::new(Self { path: path.to_owned(), access, as_of: None, _copy: None })
    }

    pub(crate) fn copy(copy: Copy, as_of: SystemTime) -> Arc<Self> {
        Arc::new(Self { path: copy.0.clone(), access: Access::ReadOnly, as_of: Some(as_of), _copy: Some(copy) })
    }
}

/// A file that is removed when nobody needs it any more.
pub(crate) struct Copy(pub(crate) PathBuf);

/// Held while a file comes into a scratch folder, and while a folder is removed because it is empty.
static SCRATCH: Mutex<()> = Mutex::new(());

impl Copy {
    /// An empty file of this name, in a folder that is made where there is none.
    pub(crate) fn new(scratch: &Path, name: &str) -> io::Result<Self> {
        let _alone = SCRATCH.lock();
        fs::create_dir_all(scratch)?;
        let path = scratch.join(name);
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let _ = fs::remove_file(crate::policy::with_suffix(&self.0, suffix));
        }
        if let Some(scratch) = self.0.parent() {
            remove_if_empty(scratch);
        }
    }
}

/// Removes a scratch folder, and the one around it, if nobody has anything there.
pub(crate) fn remove_if_empty(scratch: &Path) {
    let _alone = SCRATCH.lock();
    if fs::remove_dir(scratch).is_ok()
        && let Some(folder) = scratch.parent()
    {
        let _ = fs::remove_dir(folder);
    }
}

/// How many connections have the file itself open.
#[derive(Clone, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(crate) fn enter(&self) -> Counted {
        self.0.fetch_add(1, Ordering::SeqCst);
        Counted(self.clone())
    }

    pub(crate) fn only_one(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 1
    }

    pub(crate) fn any(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }
}

/// Counted until it is dropped.
pub(crate) struct Counted(Count);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}
