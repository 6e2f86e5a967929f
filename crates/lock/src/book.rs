//! The table as one process sees it while it is inside the gate: a copy, in which others' entries may have been left since.

use std::{os::unix::fs::FileExt, path::Path};

use dbmux_os::process;

use crate::{
    LockError,
    grant::{State, Ticket},
    ground::Ground,
    sidecar::sync_name,
    table::{ENTRIES, ENTRY_SIZE, Entry, HEADER_SIZE, Header, LEFT, STATE_AT, Strange, VERSION},
};

/// Entries that are read with the header, in one call: most of the time there are no more.
const READ_AHEAD: usize = 4;

/// The table, read in one piece.
pub(crate) struct Book {
    pub(crate) header: Header,
    slots: Vec<Option<Entry>>,
    /// Slots that are not free yet: their owners are about to mark them.
    leaving: Vec<usize>,
}

impl Book {
    /// Reads the table; `None`: it was never used.
    pub(crate) fn read(ground: &Ground, path: &Path) -> Result<Option<Self>, LockError> {
        let mut start = [0_u8; HEADER_SIZE + READ_AHEAD * ENTRY_SIZE];
        let read = read_up_to(ground, &mut start, 0, path)?;
        let header = match Header::decode(&start[..HEADER_SIZE]) {
            Ok(Some(header)) if read >= HEADER_SIZE => header,
            Ok(_) => return Ok(None),
            Err(Strange::NotALock) => return Err(LockError::NotALock { path: path.to_owned() }),
            Err(Strange::Version(found)) => {
                return Err(LockError::Format { path: path.to_owned(), found, known: VERSION });
            }
        };
        let used = usize::try_from(header.used).unwrap_or(ENTRIES).min(ENTRIES);
        let mut slots = Vec::with_capacity(used + 1);
        if used <= READ_AHEAD {
            slots.extend(start[HEADER_SIZE..].chunks_exact(ENTRY_SIZE).take(used).map(Entry::decode));
        } else {
            let mut rest = vec![0_u8; used * ENTRY_SIZE];
            read_up_to(ground, &mut rest, HEADER_SIZE, path)?;
            slots.extend(rest.chunks_exact(ENTRY_SIZE).map(Entry::decode));
        }
        Ok(Some(Self { header, slots, leaving: Vec::new() }))
    }

    /// Reads the table, or begins a new one; a new run of the machine begins a new epoch, which is synced.
    ///
    /// A table is not begun while anybody has a ticket: somebody has emptied the file, and whoever has the lock still has
    /// it.
    pub(crate) fn open(ground: &Ground, path: &Path) -> Result<Self, LockError> {
        let mut book = match Self::read(ground, path)? {
            Some(book) => book,
            None if ground.is_anybody_there()? => return Err(LockError::Emptied { path: path.to_owned() }),
            None => Self { header: Header::new(), slots: Vec::new(), leaving: Vec::new() },
        };
        let boot = process::own().boot.unwrap_or(1);
        if book.header.boot != boot {
            book.header.boot = boot;
            book.header.epoch += 1;
            book.header.fence = 0;
            book.write_header(ground, path)?;
            extend(ground).map_err(|source| failed("extend", path, source))?;
            ground.table().sync_all().and_then(|()| sync_name(path)).map_err(|source| failed("sync", path, source))?;
        }
        Ok(book)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().flatten()
    }

    pub(crate) fn tickets(&self) -> Vec<Ticket> {
        self.entries().map(|entry| entry.ticket).collect()
    }

    pub(crate) fn find(&self, number: u64) -> Option<(usize, &Entry)> {
        let mut slots = self.slots.iter().enumerate();
        slots.find_map(|(slot, entry)| {
            entry.as_ref().filter(|entry| entry.ticket.number == number).map(|entry| (slot, entry))
        })
    }

    /// Takes an entry out of this copy of the table, to be put back changed.
    pub(crate) fn take(&mut self, number: u64) -> Option<(usize, Entry)> {
        let slot = self.find(number)?.0;
        self.slots[slot].take().map(|entry| (slot, entry))
    }

    /// A slot for one more; `None`: the table is full.
    pub(crate) fn free_slot(&self) -> Option<usize> {
        let is_free = |slot: &usize| self.slots.get(*slot).is_none_or(Option::is_none) && !self.leaving.contains(slot);
        (0..ENTRIES).find(is_free)
    }

    /// Puts an entry into a slot. The header goes first: it has the ticket's number, which must never be given twice.
    pub(crate) fn put(&mut self, ground: &Ground, path: &Path, slot: usize, entry: &Entry) -> Result<(), LockError> {
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, None);
        }
        let mut bytes = [0; HEADER_SIZE + ENTRY_SIZE];
        entry.encode(&mut bytes[HEADER_SIZE..]);
        self.slots[slot] = Some(entry.clone());
        let last = self.slots.iter().rposition(Option::is_some).max(self.leaving.iter().copied().max());
        let used = last.map_or(0, |last| last + 1);
        self.header.used = u32::try_from(used).unwrap_or_default();
        self.header.encode(&mut bytes[..HEADER_SIZE]);
        if slot == 0 {
            return write_all(ground, &bytes, 0, path);
        }
        write_all(ground, &bytes[..HEADER_SIZE], 0, path)?;
        write_all(ground, &bytes[HEADER_SIZE..], HEADER_SIZE + slot * ENTRY_SIZE, path)
    }

    /// Puts an entry where only this process sees it: the grant that follows at once writes it.
    pub(crate) fn put_quietly(&mut self, slot: usize, entry: Entry) {
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, None);
        }
        self.slots[slot] = Some(entry);
    }

    /// Writes a granted entry again, with what others are shown of it changed; only its owner may, and needs no gate.
    pub(crate) fn rewrite(ground: &Ground, path: &Path, slot: usize, entry: &Entry) -> Result<(), LockError> {
        let mut bytes = [0; ENTRY_SIZE];
        entry.encode(&mut bytes);
        write_all(ground, &bytes, HEADER_SIZE + slot * ENTRY_SIZE, path)
    }

    /// Marks an entry as left: one byte, which needs no gate, for only its ticket's owner writes it while that lives.
    pub(crate) fn leave(ground: &Ground, path: &Path, slot: usize) -> Result<(), LockError> {
        write_all(ground, &[LEFT], HEADER_SIZE + slot * ENTRY_SIZE + STATE_AT, path)
    }

    /// Whether the table in the file, and not only this copy, still has this ticket in its slot.
    pub(crate) fn is_there(ground: &Ground, path: &Path, slot: usize, number: u64) -> Result<bool, LockError> {
        let mut bytes = [0_u8; ENTRY_SIZE];
        read_up_to(ground, &mut bytes, HEADER_SIZE + slot * ENTRY_SIZE, path)?;
        Ok(Entry::decode(&bytes).is_some_and(|entry| entry.ticket.number == number))
    }

    pub(crate) fn write_header(&self, ground: &Ground, path: &Path) -> Result<(), LockError> {
        let mut bytes = [0; HEADER_SIZE];
        self.header.encode(&mut bytes);
        write_all(ground, &bytes, 0, path)
    }

    /// Clears away the dead ones of these tickets, and counts them. Tells whether there were any.
    pub(crate) fn reap(&mut self, ground: &Ground, path: &Path, suspects: &[Ticket]) -> Result<bool, LockError> {
        let mut any = false;
        for suspect in suspects {
            if !ground.is_dead(suspect.number)? {
                continue;
            }
            let Some((slot, entry)) = self.take(suspect.number) else { continue };
            any = true;
            // Its owner lives: it has given the lock back, and has marked its entry, or is about to. Until it has, the slot
            // is its own.
            if ground.is_leaving(suspect.number)? {
                self.leaving.push(slot);
                continue;
            }
            // Whoever leaves lives until its entry is marked: had it left since we read the table, the mark is there now.
            if !Self::is_there(ground, path, slot, suspect.number)? {
                continue;
            }
            tracing::debug!(path = %path.display(), pid = entry.process.pid, command = entry.command, "reaped a dead process");
            if entry.ticket.state == State::Granted {
                self.header.died = Some(entry.process);
            }
            self.header.statistics.reaped += 1;
            self.write_header(ground, path)?;
            Self::leave(ground, path, slot)?;
        }
        Ok(any)
    }
}

/// Sees to it that a read of the header and the first entries is not cut off by the file's end, and tried once more.
fn extend(ground: &Ground) -> std::io::Result<()> {
    let wanted = ground.offset() + (HEADER_SIZE + READ_AHEAD * ENTRY_SIZE) as u64;
    let short = ground.table().metadata()?.len() < wanted;
    if short { ground.table().set_len(wanted) } else { Ok(()) }
}

fn read_up_to(ground: &Ground, bytes: &mut [u8], at: usize, path: &Path) -> Result<usize, LockError> {
    let mut done = 0;
    while done < bytes.len() {
        match ground.table().read_at(&mut bytes[done..], ground.offset() + (at + done) as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(failed("read", path, source)),
        }
    }
    Ok(done)
}

fn write_all(ground: &Ground, bytes: &[u8], at: usize, path: &Path) -> Result<(), LockError> {
    let written = ground.table().write_all_at(bytes, ground.offset() + at as u64);
    crate::failpoint::reached("written");
    written.map_err(|source| failed("write", path, source))
}

fn failed(operation: &'static str, path: &Path, source: std::io::Error) -> LockError {
    LockError::Table { operation, path: path.to_owned(), source }
}
