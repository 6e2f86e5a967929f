//! Those who want the file for themselves, and a copy to answer meanwhile, or who copy it themselves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use dbmux_engine::{Holder, Peer};
use dbmux_os::process;
use dbmux_proto::HolderKind;

use super::File;
use crate::{errors, holder};

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    number: u64,
    pid: u32,
    command: String,
    /// A copy shall answer in the file's place; else he copies it himself.
    pub(super) wants_stand_in: bool,
    pub(super) since: Instant,
}

/// He wants it; until this is dropped.
pub(crate) struct Asked {
    file: Arc<File>,
    number: u64,
}

impl Asked {
    /// `command` is what he says of himself; empty: his process's.
    pub(crate) fn new(file: &Arc<File>, peer: Peer, command: &str, wants_stand_in: bool) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let (command, since) = (command.to_owned(), Instant::now());
        let asker = Asker { number, pid: peer.pid, command, wants_stand_in, since };
        file.state.lock().askers.push(asker);
        Self { file: Arc::clone(file), number }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.file.state.lock().askers.retain(|asker| asker.number != self.number);
        self.file.kick.notify_one();
        self.file.tell(|_| {});
    }
}

impl Asker {
    /// As he is shown to those who wait for him.
    fn holder(&self) -> Holder {
        let seen = process::info(self.pid).ok().map(|seen| holder::of_process(&seen, HolderKind::Process));
        let gone = || Holder { kind: HolderKind::Process.into(), pid: self.pid, ..Holder::default() };
        let mut holder = seen.unwrap_or_else(gone);
        if !self.command.is_empty() {
            holder.command.clone_from(&self.command);
        }
        "snapshot".clone_into(&mut holder.part);
        errors::set_since(&mut holder, self.since);
        holder
    }
}

impl File {
    /// Whoever has the file kept still, or a copy in its place, and the file not yet: writes wait for him.
    pub(crate) fn keeps_still(&self) -> Option<Holder> {
        let asker = {
            let state = self.state.lock();
            let still = state.settling.is_none() && (state.held || state.snapshot.is_some()) && state.locked;
            state.askers.first().filter(|_| still).cloned()
        };
        asker.map(|asker| asker.holder())
    }

    /// Others than the one who has it kept still want it.
    pub(crate) fn is_wanted_by_others(&self) -> bool {
        let state = self.state.lock();
        state.wanted_to_write > 0 || state.giving_way.is_some() || state.askers.len() > 1
    }
}
