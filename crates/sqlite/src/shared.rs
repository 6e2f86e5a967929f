//! What an engine and its sessions have in common.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use dbmux_engine::{Attachment, EngineError};
use parking_lot::Mutex;

use crate::{
    connection::Connection,
    options::SqliteOptions,
    place::{Count, Place},
    policy::with_suffix,
    slot::Slot,
    typed::Learned,
};

/// What sessions need of their engine.
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) options: SqliteOptions,
    /// Also held while attaching and releasing, which thereby exclude each other.
    pub(crate) attachment: Mutex<Option<Attachment>>,
    /// The engine's own connection to the file, for as long as it is attached.
    pub(crate) anchor: Mutex<Option<Connection>>,
    /// What answers now.
    place: Mutex<Option<Arc<Place>>>,
    /// The connections to the file itself.
    pub(crate) open: Count,
    slots: Mutex<Vec<Weak<Slot>>>,
    pub(crate) learned: Learned,
}

impl Shared {
    pub(crate) fn new(path: PathBuf, options: SqliteOptions) -> Self {
        Self {
            path,
            options,
            attachment: Mutex::default(),
            anchor: Mutex::default(),
            place: Mutex::default(),
            open: Count::default(),
            slots: Mutex::default(),
            learned: Learned::default(),
        }
    }

    /// What answers now.
    pub(crate) fn place(&self) -> Option<Arc<Place>> {
        self.place.lock().clone()
    }

    /// Lets something else answer. What answered is left by each session when nothing of it runs there.
    pub(crate) fn set_place(&self, place: Option<Arc<Place>>) {
        *self.place.lock() = place;
    }

    /// Whether this is what answers now.
    pub(crate) fn is_present(&self, place: &Arc<Place>) -> bool {
        self.place.lock().as_ref().is_some_and(|present| Arc::ptr_eq(present, place))
    }

    /// Another session.
    pub(crate) fn enter(&self, slot: &Arc<Slot>) {
        let mut slots = self.slots.lock();
        slots.retain(|slot| slot.strong_count() > 0);
        slots.push(Arc::downgrade(slot));
    }

    /// The sessions.
    pub(crate) fn slots(&self) -> Vec<Arc<Slot>> {
        self.slots.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// Where copies lie: beside the file, and apart from what others put there.
    pub(crate) fn scratch(&self) -> PathBuf {
        with_suffix(&self.path, ".tmp").join("dbmux")
    }

    pub(crate) fn released(&self) -> EngineError {
        internal(format!("{} is not attached", display(&self.path)))
    }
}

pub(crate) fn internal(message: impl Into<String>) -> EngineError {
    EngineError::Internal { message: message.into() }
}

fn display(path: &Path) -> std::path::Display<'_> {
    path.display()
}
