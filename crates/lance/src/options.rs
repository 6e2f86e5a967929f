//! How an engine is started.

/// What can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanceOptions {
    /// Commits are synced to the disk before they are acknowledged. LanceDB itself syncs nothing: without this, a power cut
    /// may take back what was acknowledged, and leave a version that names files which are not there.
    pub sync: bool,
    /// What lost to another writer is done again, writers beside us are left room, and many small files become few while
    /// they are written. LanceDB itself does nothing of it.
    pub as_owner: bool,
}

impl Default for LanceOptions {
    fn default() -> Self {
        Self { sync: true, as_owner: true }
    }
}
