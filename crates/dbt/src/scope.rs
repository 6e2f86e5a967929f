//! Whom a dbt invocation excludes.

use std::path::{Path, PathBuf};

use dbmux_lock::{Lock, LockError, Scope as LockScope};
use serde::{Deserialize, Serialize};

/// What the lock is called, in the project's `.dbmux` and among this user's.
const LOCK: &str = "dbt";

/// Whom a dbt invocation excludes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Other invocations in the same project.
    #[default]
    Project,
    /// All of this user's that are global too, and those in the same project.
    Global,
}

impl Scope {
    /// The locks to take, in this order.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub(crate) fn locks(self, project: &Path) -> Result<Vec<Lock>, LockError> {
        let mut scopes = vec![LockScope::Project(PathBuf::from(project))];
        if self == Self::Global {
            scopes.insert(0, LockScope::Global);
        }
        scopes.iter().map(|scope| Lock::named(LOCK, scope)).collect()
    }
}
