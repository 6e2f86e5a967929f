//! The table in the lock's file: a header and the tickets, and how they lie there.
//!
//! Read and written with `pread` and `pwrite` inside the gate, for a mapped file that somebody truncates is a SIGBUS. One
//! byte is written outside it: whoever gives its ticket back marks its own entry as left.
//! One file may hold three locks (a database's *owner* and *file* locks, and a plain one), each with a region of its own.
//!
//! An entry counts only while its ticket's byte is locked, so whatever a killed process has left half-written is dead.

use std::time::{Duration, SystemTime};

use dbmux_os::process::ProcessId;

use crate::{
    grant::{Mode, Priority, State, Ticket},
    stats::Statistics,
};

pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"dbmuxlck");
/// The format. The portable ground has one of its own: two processes on different grounds would not see each other.
pub(crate) const VERSION: u32 = if cfg!(feature = "portable") { 0x8000_0001 } else { 1 };
/// Tickets that a lock can have at once.
pub(crate) const ENTRIES: usize = 96;
pub(crate) const HEADER_SIZE: usize = 1024;
pub(crate) const ENTRY_SIZE: usize = 208;
pub(crate) const REGION_SIZE: usize = HEADER_SIZE + ENTRIES * ENTRY_SIZE;
const COMMAND_SIZE: usize = 144;
/// Where in an entry its state stands: one byte, so that no reader sees half of it.
pub(crate) const STATE_AT: usize = 45;
/// The state of an entry whose ticket was given back: its slot is free.
pub(crate) const LEFT: u8 = 3;

/// What stands before the tickets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Header {
    pub(crate) boot: u128,
    /// Raised at the first use after each start of the machine: the fence's high bits.
    pub(crate) epoch: u32,
    pub(crate) next_ticket: u64,
    /// Grants to writers since the epoch began.
    pub(crate) fence: u64,
    /// No slot at or behind this one is used.
    pub(crate) used: u32,
    /// A holder that died, until the next grant tells of it.
    pub(crate) died: Option<ProcessId>,
    pub(crate) statistics: Statistics,
}

/// A ticket, as it stands in the table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) ticket: Ticket,
    pub(crate) priority: Priority,
    pub(crate) process: ProcessId,
    /// The PID namespace in which the process has that number.
    pub(crate) namespace: u64,
    /// When it asked; and, once it is granted, when it was.
    pub(crate) since: SystemTime,
    pub(crate) command: String,
}

/// Writes little-endian numbers one after the other.
struct Writer<'a>(&'a mut [u8], usize);

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.0[self.1..self.1 + bytes.len()].copy_from_slice(bytes);
        self.1 += bytes.len();
    }
}

/// Reads them back.
struct Reader<'a>(&'a [u8], usize);

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[self.1..self.1 + N]);
        self.1 += N;
        bytes
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }
}

impl Header {
    pub(crate) fn new() -> Self {
        Self { boot: 0, epoch: 0, next_ticket: 0, fence: 0, used: 0, died: None, statistics: Statistics::default() }
    }

    pub(crate) fn encode(&self, into: &mut [u8]) {
        let mut out = Writer(into, 0);
        out.put(&MAGIC.to_le_bytes());
        out.put(&VERSION.to_le_bytes());
        out.put(&self.epoch.to_le_bytes());
        out.put(&self.boot.to_le_bytes());
        out.put(&self.next_ticket.to_le_bytes());
        out.put(&self.fence.to_le_bytes());
        out.put(&self.used.to_le_bytes());
        let died = self.died.unwrap_or(ProcessId { pid: 0, start_time: 0 });
        out.put(&died.pid.to_le_bytes());
        out.put(&died.start_time.to_le_bytes());
        for number in self.statistics.numbers() {
            out.put(&number.to_le_bytes());
        }
    }

    /// `None`: the region was never used.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Self>, Strange> {
        let mut from = Reader(bytes, 0);
        match from.u64() {
            0 => return Ok(None),
            MAGIC => {}
            _ => return Err(Strange::NotALock),
        }
        match from.u32() {
            VERSION => {}
            version => return Err(Strange::Version(version)),
        }
        let epoch = from.u32();
        let boot = u128::from_le_bytes(from.bytes());
        let (next_ticket, fence, used) = (from.u64(), from.u64(), from.u32());
        let died = ProcessId { pid: from.u32(), start_time: from.u64() };
        let mut numbers = [0; Statistics::NUMBERS];
        numbers.fill_with(|| from.u64());
        Ok(Some(Self {
            boot,
            epoch,
            next_ticket,
            fence,
            used: used.min(u32::try_from(ENTRIES).unwrap_or(u32::MAX)),
            died: (died.pid != 0).then_some(died),
            statistics: Statistics::from_numbers(&numbers),
        }))
    }
}

/// Why a file is not a lock's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strange {
    NotALock,
    Version(u32),
}

impl Entry {
    pub(crate) fn encode(&self, into: &mut [u8]) {
        let millis = self.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let command = shorten(&self.command);
        let mut out = Writer(into, 0);
        out.put(&self.ticket.number.to_le_bytes());
        out.put(&self.ticket.key.to_le_bytes());
        out.put(&self.process.start_time.to_le_bytes());
        out.put(&u64::try_from(millis).unwrap_or_default().to_le_bytes());
        out.put(&self.namespace.to_le_bytes());
        out.put(&self.process.pid.to_le_bytes());
        out.put(&[self.ticket.mode as u8, self.ticket.state as u8, self.priority as u8, 0]);
        out.put(&u64::try_from(command.len()).unwrap_or_default().to_le_bytes());
        out.put(command.as_bytes());
    }

    /// `None`: the slot is free, or what a killed process has left makes no sense.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes, 0);
        let number = from.u64();
        let key = i64::from_le_bytes(from.bytes());
        let start_time = from.u64();
        let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(from.u64()))?;
        let namespace = from.u64();
        let pid = from.u32();
        let [mode, state, priority, _] = from.bytes();
        // Before the rest is looked at: most slots are free.
        let state = State::from_code(state)?;
        let length = usize::try_from(from.u64()).ok().filter(|length| *length <= COMMAND_SIZE)?;
        let ticket = Ticket { number, key, mode: Mode::from_code(mode)?, state };
        let command: [u8; COMMAND_SIZE] = from.bytes();
        let command = String::from_utf8_lossy(&command[..length]).into_owned();
        let process = ProcessId { pid, start_time };
        (number != 0).then_some(Self {
            ticket,
            priority: Priority::from_code(priority)?,
            process,
            namespace,
            since,
            command,
        })
    }
}

/// As much of a command as an entry holds.
fn shorten(command: &str) -> &str {
    let mut end = command.len().min(COMMAND_SIZE);
    while !command.is_char_boundary(end) {
        end -= 1;
    }
    &command[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_entry_comes_back_as_it_was(number in 1..u64::MAX, key: i64, pid: u32, start_time: u64, command in ".{0,60}") {
            let entry = Entry {
                ticket: Ticket { number, key, mode: Mode::Shared, state: State::Granted },
                priority: Priority::Low,
                process: ProcessId { pid, start_time },
                namespace: 7,
                since: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
                command: shorten(&command).to_owned(),
            };
            let mut bytes = [0; ENTRY_SIZE];
            entry.encode(&mut bytes);
            prop_assert_eq!(Entry::decode(&bytes), Some(entry));
        }

        #[test]
        fn any_bytes_are_an_entry_or_none(bytes in proptest::collection::vec(any::<u8>(), ENTRY_SIZE)) {
            let _ = Entry::decode(&bytes);
        }
    }

    #[test]
    fn an_entry_that_was_left_is_free() {
        let ticket = Ticket { number: 5, key: 5, mode: Mode::Shared, state: State::Granted };
        let process = ProcessId { pid: 1, start_time: 2 };
        let (priority, since, command) = (Priority::Low, SystemTime::UNIX_EPOCH, String::new());
        let entry = Entry { ticket, priority, process, namespace: 7, since, command };
        let mut bytes = [0; ENTRY_SIZE];
        entry.encode(&mut bytes);
        assert_eq!(bytes[STATE_AT], State::Granted as u8);
        bytes[STATE_AT] = LEFT;
        assert_eq!(Entry::decode(&bytes), None);
    }

    #[test]
    fn a_header_comes_back_and_strangers_are_told() {
        let mut header = Header::new();
        header.next_ticket = 9;
        header.died = Some(ProcessId { pid: 3, start_time: 4 });
        header.statistics.granted(Some(Duration::from_millis(3)), SystemTime::UNIX_EPOCH + Duration::from_secs(9));
        let mut bytes = [0; HEADER_SIZE];
        assert_eq!(Header::decode(&bytes), Ok(None));
        header.encode(&mut bytes);
        assert_eq!(Header::decode(&bytes), Ok(Some(header)));
        bytes[8..12].copy_from_slice(&9_u32.to_le_bytes());
        assert_eq!(Header::decode(&bytes), Err(Strange::Version(9)));
        bytes[0] = b'x';
        assert_eq!(Header::decode(&bytes), Err(Strange::NotALock));
    }

    #[test]
    fn three_locks_stay_under_64_kib() {
        const { assert!(3 * REGION_SIZE < 64 << 10) };
    }
}
