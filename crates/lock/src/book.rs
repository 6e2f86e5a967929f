//! The table as one process sees it while it is inside the gate.

use std::{os::unix::fs::FileExt, path::Path, sync::OnceLock};

use dbmux_os::process;

use crate::{
    LockError,
    grant::{State, Ticket},
    ground::Ground,
    table::{ENTRIES, ENTRY_SIZE, Entry, HEADER_SIZE, Header, Strange, VERSION},
};

/// Which run of the machine this is. It ends with this process at the latest; asked for at every visit to the table.
static BOOT: OnceLock<u128> = OnceLock::new();

/// The table, read in one piece.
pub(crate) struct Book {
    pub(crate) header: Header,
    slots: Vec<Option<Entry>>,
}

impl Book {
    /// Reads the table; `None`: it was never used.
    pub(crate) fn read(ground: &Ground, path: &Path) -> Result<Option<Self>, LockError> {
        // Most of the time there is nothing, or one ticket, behind the header.
        let mut start = [0_u8; HEADER_SIZE + ENTRY_SIZE];
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
        if used <= 1 {
            slots.extend(start[HEADER_SIZE..].chunks_exact(ENTRY_SIZE).take(used).map(Entry::decode));
        } else {
            let mut rest = vec![0_u8; used * ENTRY_SIZE];
            read_up_to(ground, &mut rest, HEADER_SIZE, path)?;
            slots.extend(rest.chunks_exact(ENTRY_SIZE).map(Entry::decode));
        }
        Ok(Some(Self { header, slots }))
    }

    /// Reads the table, or begins a new one; a new run of the machine begins a new epoch, which is synced.
    pub(crate) fn open(ground: &Ground, path: &Path) -> Result<Self, LockError> {
        let mut book = Self::read(ground, path)?.unwrap_or_else(|| Self { header: Header::new(), slots: Vec::new() });
        let boot = *BOOT.get_or_init(|| process::boot_id().unwrap_or(1));
        if book.header.boot != boot {
            book.header.boot = boot;
            book.header.epoch += 1;
            book.header.fence = 0;
            book.write_header(ground, path)?;
            ground.table().sync_all().map_err(|source| failed("sync", path, source))?;
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

    /// A slot for one more; `None`: the table is full.
    pub(crate) fn free_slot(&self) -> Option<usize> {
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        (free < ENTRIES).then_some(free)
    }

    /// Puts an entry into a slot. The header goes first: it has the ticket's number, which must never be given twice.
    pub(crate) fn put(&mut self, ground: &Ground, path: &Path, slot: usize, entry: Entry) -> Result<(), LockError> {
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, None);
        }
        let mut bytes = [0; HEADER_SIZE + ENTRY_SIZE];
        entry.encode(&mut bytes[HEADER_SIZE..]);
        self.slots[slot] = Some(entry);
        self.write(ground, path, slot, &mut bytes)
    }

    /// Puts an entry where only this process sees it: the grant that follows at once writes it.
    pub(crate) fn put_quietly(&mut self, slot: usize, entry: Entry) {
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, None);
        }
        self.slots[slot] = Some(entry);
    }

    /// Empties a slot.
    pub(crate) fn clear(&mut self, ground: &Ground, path: &Path, slot: usize) -> Result<(), LockError> {
        self.slots[slot] = None;
        let mut bytes = [0; HEADER_SIZE + ENTRY_SIZE];
        self.write(ground, path, slot, &mut bytes)
    }

    fn write(
        &mut self,
        ground: &Ground,
        path: &Path,
        slot: usize,
        bytes: &mut [u8; HEADER_SIZE + ENTRY_SIZE],
    ) -> Result<(), LockError> {
        let used = self.slots.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        // A slot that is emptied is still read until it is empty.
        self.header.used = u32::try_from(used.max(slot + 1).min(ENTRIES)).unwrap_or_default();
        let last_word = used <= slot;
        self.header.encode(&mut bytes[..HEADER_SIZE]);
        if slot == 0 {
            write_all(ground, bytes, 0, path)?;
        } else {
            write_all(ground, &bytes[..HEADER_SIZE], 0, path)?;
            write_all(ground, &bytes[HEADER_SIZE..], HEADER_SIZE + slot * ENTRY_SIZE, path)?;
        }
        if last_word && slot > 0 {
            self.header.used = u32::try_from(used).unwrap_or_default();
            return self.write_header(ground, path);
        }
        Ok(())
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
            let Some((slot, entry)) = self.find(suspect.number) else { continue };
            tracing::debug!(path = %path.display(), pid = entry.process.pid, command = entry.command, "reaped a dead process");
            if entry.ticket.state == State::Granted {
                self.header.died = Some(entry.process);
            }
            self.header.statistics.reaped += 1;
            self.clear(ground, path, slot)?;
            any = true;
        }
        Ok(any)
    }
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
