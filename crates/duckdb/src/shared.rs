//! What an engine and its sessions have in common.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use dbmux_engine::Attachment;
use parking_lot::Mutex;

use crate::{
    facts::{Fact, Known, Scope},
    ffi::{Instance, Protection},
    options,
    snapshot::Snapshots,
};

/// What sessions need of their engine.
pub(crate) struct Shared {
    pub(crate) instance: Arc<Instance>,
    pub(crate) path: PathBuf,
    pub(crate) catalog: String,
    pub(crate) notice: Option<String>,
    /// Keeps clients' statements from the file, its logs and its sidecar.
    pub(crate) protection: Protection,
    /// Held while a session attaches something: its name is everybody's for a moment.
    pub(crate) attaching: Mutex<()>,
    /// Grows when a statement may have changed what the parser makes of a text.
    pub(crate) parser_epoch: AtomicU64,
    /// Global settings that clients changed.
    pub(crate) settings: Mutex<BTreeMap<String, String>>,
    /// Also held while attaching and releasing, which thereby exclude each other.
    pub(crate) attachment: Mutex<Option<Attachment>>,
    /// Copies that answer in the file's stead.
    pub(crate) snapshots: Snapshots,
    /// Dropped after the instance, which empties its folder.
    pub(crate) _folder: ScratchFolder,
}

impl Shared {
    /// What was parsed when this was another number may be parsed otherwise now.
    pub(crate) fn parser_epoch(&self) -> u64 {
        self.parser_epoch.load(Ordering::SeqCst)
    }

    /// Notes the global settings that a statement changed, and that any may have changed how texts are parsed.
    pub(crate) fn note_settings(&self, facts: &[Fact]) {
        for fact in facts {
            if matches!(
                fact,
                Fact::Set { .. } | Fact::Reset { .. } | Fact::Pragma { .. } | Fact::Call { .. } | Fact::Load { .. }
            ) {
                self.parser_epoch.fetch_add(1, Ordering::SeqCst);
            }
            match fact {
                Fact::Set { name, scope: Scope::Global, value } => {
                    let (Known::Text(value) | Known::Expression(value)) = value;
                    self.settings.lock().insert(name.clone(), value.clone());
                }
                Fact::Reset { name, scope: Scope::Global } => {
                    self.settings.lock().remove(name);
                }
                _ => {}
            }
        }
    }
}

/// The folder for spilled data: it goes with its owner, if nothing is left in it.
pub(crate) struct ScratchFolder(PathBuf);

impl ScratchFolder {
    pub(crate) fn of(database: &Path) -> Self {
        Self(options::scratch(database))
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        remove_if_empty(&self.0);
    }
}

/// Removes a scratch folder, and the one around it, if nobody has anything there.
pub(crate) fn remove_if_empty(scratch: &Path) {
    let _ = fs::remove_dir(scratch);
    if let Some(folder) = scratch.parent() {
        let _ = fs::remove_dir(folder);
    }
}
