//! What is to be seen of a lock: who has it, who waits, what it has been through.

use std::time::{Duration, SystemTime};

use dbmux_os::process::{self, ProcessId};

use crate::{FenceToken, Mode, Priority, Statistics, book::Book, grant::State, table::Entry};

/// Names a ticket of one lock. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketNumber(pub u64);

/// A ticket, as others see it.
#[derive(Debug, Clone)]
pub struct TicketInfo {
    /// Its number.
    pub number: TicketNumber,
    /// Whose it is, in that process's own PID namespace.
    pub process: ProcessId,
    /// That namespace is ours, so the number means something here.
    pub same_namespace: bool,
    /// What a person would recognise it by.
    pub command: String,
    /// Its user, where that can be seen.
    pub user: Option<String>,
    /// Beside others, or alone.
    pub mode: Mode,
    /// How urgent it is.
    pub priority: Priority,
    /// Granted, or waiting.
    pub state: State,
    /// When it asked; when it was granted, for one that has the lock.
    pub since: SystemTime,
    /// The process is stopped: it keeps its place and does nothing.
    pub stopped: bool,
}

impl TicketInfo {
    pub(crate) fn of(entry: &Entry) -> Self {
        let same_namespace = entry.namespace == process::pid_namespace();
        let seen = same_namespace.then(|| process::info(entry.process.pid).ok()).flatten();
        let seen = seen.filter(|seen| seen.id == entry.process);
        Self {
            number: TicketNumber(entry.ticket.number),
            process: entry.process,
            same_namespace,
            command: entry.command.clone(),
            user: seen.as_ref().map(|seen| seen.user.clone()),
            mode: entry.ticket.mode,
            priority: entry.priority,
            state: entry.ticket.state,
            since: entry.since,
            stopped: seen.is_some_and(|seen| seen.stopped),
        }
    }

    /// Whether a process works under this ticket, for as long as it lives: its owner started it, or it was started to be
    /// the owner, and told so by `variable`. One that took the lock itself may give it back before its end.
    pub fn is_around(&self, pid: u32, variable: &str) -> bool {
        if !self.same_namespace || !process::is_inside(pid, self.process) {
            return false;
        }
        let told = || process::started_with(pid, variable).unwrap_or_default();
        pid != self.process.pid || told().split(',').any(|token| token.starts_with(&format!("{}@", self.number.0)))
    }

    /// For how long.
    pub fn age(&self) -> Duration {
        self.since.elapsed().unwrap_or_default()
    }
}

/// A lock at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Who has it.
    pub holders: Vec<TicketInfo>,
    /// Who waits, the next one first.
    pub waiters: Vec<TicketInfo>,
    /// The last writer's token.
    pub fence: FenceToken,
    /// What it has been through.
    pub statistics: Statistics,
}

impl Snapshot {
    pub(crate) fn of(book: &Book, is_dead: impl Fn(u64) -> bool) -> Self {
        let mut alive: Vec<_> = book.entries().filter(|entry| !is_dead(entry.ticket.number)).collect();
        alive.sort_by_key(|entry| (entry.ticket.key, entry.ticket.number));
        let with = |state| {
            let those = alive.iter().filter(move |entry| entry.ticket.state == state);
            those.map(|entry| TicketInfo::of(entry)).collect()
        };
        Self {
            holders: with(State::Granted),
            waiters: with(State::Waiting),
            fence: FenceToken::of(&book.header),
            statistics: book.header.statistics.clone(),
        }
    }
}
