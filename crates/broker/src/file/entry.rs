//! Those who are inside of the file, and those who want to be.

use std::{sync::Arc, time::Instant};

use dbmux_engine::Access;

use super::{File, Need, State};

/// What a statement reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    File,
    /// The copy that answers in the file's stead.
    Snapshot,
}

/// The right to use the attached file, or the copy that answers in its stead; it stays until this is dropped.
pub(crate) struct FileUse {
    file: Arc<File>,
    source: Source,
    /// As attached: read-only when a foreign reader has the file.
    pub(crate) access: Access,
    writes: bool,
}

impl FileUse {
    /// The caller has counted it.
    pub(super) fn new(file: &Arc<File>, source: Source, access: Access, writes: bool) -> Self {
        Self { file: Arc::clone(file), source, access, writes }
    }

    /// It keeps the file, not a copy of it.
    pub(crate) fn keeps_file(&self) -> bool {
        self.source == Source::File
    }

    /// It began beside the file, and is in it now: from here on it keeps it.
    pub(crate) fn comes_in(&mut self) {
        if self.source == Source::File {
            return;
        }
        let mut state = self.file.state.lock();
        state.readers -= 1;
        state.users += 1;
        self.access = state.attached.unwrap_or(Access::ReadWrite);
        self.source = Source::File;
        drop(state);
        // Whoever waits for the file is told for whom.
        self.file.tell(|_| {});
    }

    /// It began beside the file: where that has come back meanwhile, it may be in it. Tells whether it keeps the file now.
    pub(crate) fn comes_in_if_attached(&mut self) -> bool {
        if self.source == Source::Snapshot && self.file.state.lock().attached.is_some() {
            self.comes_in();
        }
        self.keeps_file()
    }

    /// Takes the right to write, unless the file is only read, or is about to be copied.
    pub(crate) fn may_write(&mut self) -> bool {
        if self.writes {
            return true;
        }
        let mut state = self.file.state.lock();
        if self.source == Source::Snapshot || self.access == Access::ReadOnly || state.held || state.snapshot.is_some()
        {
            return false;
        }
        state.writers += 1;
        self.writes = true;
        true
    }
}

impl Drop for FileUse {
    fn drop(&mut self) {
        let mut state = self.file.state.lock();
        match self.source {
            Source::File => state.users -= 1,
            Source::Snapshot => state.readers -= 1,
        }
        state.writers -= usize::from(self.writes);
        let last_writer = self.writes && state.writers == 0 && state.held;
        if state.users == 0 {
            state.last_used = Instant::now();
            if state.must_go() || state.wanted_to_write > 0 || state.snapshot.is_some() {
                self.file.kick.notify_one();
            }
        }
        drop(state);
        if last_writer {
            self.file.tell(|_| {});
        }
    }
}

/// Somebody waits to enter.
pub(super) struct Demand<'a> {
    file: &'a File,
    need: Need,
}

impl<'a> Demand<'a> {
    pub(super) fn new(file: &'a File, need: Need) -> Self {
        let demand = Self { file, need };
        *demand.count(&mut file.state.lock()) += 1;
        demand
    }

    fn count<'s>(&self, state: &'s mut State) -> &'s mut usize {
        match self.need {
            Need::Read | Need::ReadNow => &mut state.wanted_to_read,
            Need::Write => &mut state.wanted_to_write,
        }
    }
}

impl Drop for Demand<'_> {
    fn drop(&mut self) {
        *self.count(&mut self.file.state.lock()) -= 1;
        self.file.kick.notify_one();
    }
}
