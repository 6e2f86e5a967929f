//! One process's way through the lock, a system call at a time.

use crate::{
    Lock,
    grant::{Mode, Priority, State, Ticket, blocker},
};

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// A process makes its next system call.
    Go(usize),
    /// A sleeper's time is over, and it passes the gate to say so.
    GiveUp(usize),
    /// A sleeper's time is over, and it cannot have the gate.
    GiveUpOutside(usize),
    /// A process is killed.
    Crash(usize),
}

/// Where a process is: named by what it does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Enter,
    TakeByte,
    PublishNumber,
    WriteEntry,
    Look,
    LookAtSecond(u64),
    LookAgain(u64),
    ReapHeader(u64),
    ReapEntry(u64),
    GrantHeader,
    GrantEntry,
    GrantNotice,
    LeaveGateGranted,
    LeaveGateToSleep(u64),
    Asleep(u64),
    EnterAgain,
    Hold,
    Mark,
    WantsToQuit,
    LeaveEntry,
    GiveBack,
    Ended,
    Crashed,
}

type Table = Vec<Option<Ticket>>;

fn tickets(table: &Table) -> Vec<Ticket> {
    table.iter().flatten().copied().collect()
}

fn slot_of(table: &Table, number: u64) -> Option<usize> {
    table.iter().position(|entry| entry.is_some_and(|entry| entry.number == number))
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) mode: Mode,
    priority: Priority,
    pub(crate) step: Step,
    /// The ticket whose byte it has locked.
    pub(crate) byte: Option<u64>,
    /// Its ticket, once it has one: also when it is over.
    number: u64,
    slot: usize,
    /// The table as it was when it entered the gate: others may have left it since.
    book: Table,
    fence: u64,
    told: bool,
}

impl Process {
    /// Between the call that gave it the lock and the one that begins to give it back.
    pub(crate) fn holds(&self) -> bool {
        self.step == Step::Hold
    }
}

/// Not part of the lock: what the checks must remember.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ghost {
    pub(crate) out_of_turn: bool,
    pub(crate) fence_fell: bool,
    pub(crate) not_told: bool,
    pub(crate) overtook: bool,
    /// Somebody who left was taken for dead.
    pub(crate) false_death: bool,
    last_fence: u64,
    /// A writer died holding the lock, and no writer has come back from its grant since.
    owed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) processes: Vec<Process>,
    pub(crate) crashes: u8,
    gate: Option<usize>,
    next_ticket: u64,
    fence: u64,
    pub(crate) died: bool,
    entries: Table,
    pub(crate) ghost: Ghost,
}

impl World {
    pub(crate) fn new(wants: impl Iterator<Item = (Mode, Priority)>, crashes: u8) -> Self {
        let process = |(mode, priority)| Process {
            mode,
            priority,
            step: Step::Enter,
            byte: None,
            number: 0,
            slot: 0,
            book: Vec::new(),
            fence: 0,
            told: false,
        };
        Self {
            processes: wants.map(process).collect(),
            crashes,
            gate: None,
            next_ticket: 0,
            fence: 0,
            died: false,
            entries: Vec::new(),
            ghost: Ghost::default(),
        }
    }

    fn lives(&self, number: u64) -> bool {
        self.processes.iter().any(|process| process.byte == Some(number))
    }

    /// Whether the next system call returns.
    pub(crate) fn can_go_on(&self, at: usize) -> bool {
        match self.processes[at].step {
            Step::Enter | Step::EnterAgain | Step::WantsToQuit => self.gate.is_none(),
            Step::Asleep(number) => !self.lives(number),
            _ => true,
        }
    }

    pub(crate) fn crash(&mut self, at: usize, model: &Lock) {
        let holds = self.processes[at].holds() && self.processes[at].mode == Mode::Exclusive;
        self.ghost.owed |= holds;
        self.crashes -= 1;
        self.processes[at].step = Step::Crashed;
        if !model.the_dead_hold {
            self.processes[at].byte = None;
        }
        if self.gate == Some(at) {
            self.gate = None;
        }
    }

    fn ticket(&self, at: usize) -> Ticket {
        let process = &self.processes[at];
        Ticket::waiting(process.byte.unwrap(), process.mode, process.priority)
    }

    fn put(&mut self, at: usize, ticket: Ticket) {
        let slot = self.processes[at].slot;
        if slot >= self.entries.len() {
            self.entries.resize(slot + 1, None);
        }
        self.entries[slot] = Some(ticket);
        let book = &mut self.processes[at].book;
        if slot >= book.len() {
            book.resize(slot + 1, None);
        }
        book[slot] = Some(ticket);
    }

    pub(crate) fn go(&mut self, at: usize, model: &Lock) {
        let step = self.processes[at].step;
        self.processes[at].step = match step {
            Step::Enter => self.enter(at, Step::TakeByte),
            Step::EnterAgain => self.enter(at, Step::Look),
            Step::WantsToQuit => self.enter(at, Step::LeaveEntry),
            Step::TakeByte => self.take_byte(at),
            Step::PublishNumber => {
                self.next_ticket = self.processes[at].number;
                Step::WriteEntry
            }
            Step::WriteEntry => {
                self.put(at, self.ticket(at));
                Step::Look
            }
            Step::Look => self.look(at, model),
            // Its owner has let go, and lives: it is as good as marked, and its slot stays its own.
            Step::LookAtSecond(number) => {
                let leaves =
                    self.processes.iter().any(|process| process.number == number && process.step == Step::Mark);
                if leaves { self.forget(at, number) } else { Step::LookAgain(number) }
            }
            Step::LookAgain(number) => {
                if slot_of(&self.entries, number).is_some() {
                    Step::ReapHeader(number)
                } else {
                    self.forget(at, number)
                }
            }
            Step::ReapHeader(number) => self.reap_header(at, number),
            Step::ReapEntry(number) => {
                if let Some(slot) = slot_of(&self.entries, number) {
                    self.entries[slot] = None;
                }
                self.forget(at, number)
            }
            Step::GrantHeader => self.grant_header(at, model),
            Step::GrantEntry => {
                self.put(at, Ticket { state: State::Granted, ..self.ticket(at) });
                Step::GrantNotice
            }
            Step::GrantNotice => {
                if self.processes[at].mode == Mode::Exclusive {
                    self.died = false;
                }
                Step::LeaveGateGranted
            }
            Step::LeaveGateGranted => self.granted(at),
            Step::LeaveGateToSleep(number) => {
                self.leave_gate(at);
                Step::Asleep(number)
            }
            Step::Asleep(_) => Step::EnterAgain,
            // To release is to let go, which wakes the next one, and then to mark the entry, both outside the gate.
            Step::Hold => {
                self.processes[at].byte = None;
                Step::Mark
            }
            Step::Mark => {
                let slot = self.processes[at].slot;
                self.entries[slot] = None;
                Step::Ended
            }
            Step::LeaveEntry => {
                let slot = self.processes[at].slot;
                self.entries[slot] = None;
                Step::GiveBack
            }
            // One call unlocks everything, the gate too where it is ours.
            Step::GiveBack => {
                if self.gate == Some(at) {
                    self.leave_gate(at);
                }
                self.processes[at].byte = None;
                Step::Ended
            }
            Step::Ended | Step::Crashed => step,
        };
    }

    /// Enters the gate, and reads the table.
    fn enter(&mut self, at: usize, then: Step) -> Step {
        self.gate = Some(at);
        self.processes[at].book = self.entries.clone();
        then
    }

    fn leave_gate(&mut self, at: usize) {
        self.gate = None;
        self.processes[at].book = Vec::new();
    }

    fn take_byte(&mut self, at: usize) -> Step {
        let number = self.next_ticket + 1;
        let process = &mut self.processes[at];
        process.slot = process.book.iter().position(Option::is_none).unwrap_or(process.book.len());
        (process.byte, process.number) = (Some(number), number);
        // Nobody in the way, the dead included: the grant writes number and entry, in this order.
        let free = blocker(&tickets(&self.processes[at].book), &self.ticket(at)).is_none();
        if free { Step::GrantHeader } else { Step::PublishNumber }
    }

    fn look(&self, at: usize, model: &Lock) -> Step {
        let (own, known) = (self.ticket(at), tickets(&self.processes[at].book));
        let Some(first) = blocker(&known, &own) else { return Step::GrantHeader };
        let mut suspects = known.iter().filter(|entry| entry.blocks(&own));
        let free = suspects.find(|entry| !self.lives(entry.number)).map(|entry| entry.number);
        match free {
            Some(number) if model.looks_once => Step::ReapHeader(number),
            Some(number) if model.has_no_second_byte => Step::LookAgain(number),
            Some(number) => Step::LookAtSecond(number),
            None => Step::LeaveGateToSleep(first.number),
        }
    }

    /// Its copy of the table does without this ticket.
    fn forget(&mut self, at: usize, number: u64) -> Step {
        let book = &mut self.processes[at].book;
        if let Some(slot) = slot_of(book, number) {
            book[slot] = None;
        }
        Step::Look
    }

    fn reap_header(&mut self, at: usize, number: u64) -> Step {
        let known = tickets(&self.processes[at].book);
        self.died |= known.iter().any(|entry| entry.number == number && entry.state == State::Granted);
        let owner = self.processes.iter().find(|process| process.number == number);
        // A number that was not published is given again: then nobody is its only owner.
        self.ghost.false_death |= owner.is_some_and(|owner| owner.step != Step::Crashed);
        Step::ReapEntry(number)
    }

    fn grant_header(&mut self, at: usize, model: &Lock) -> Step {
        let number = self.processes[at].number;
        self.next_ticket = self.next_ticket.max(number);
        self.fence += u64::from(self.processes[at].mode == Mode::Exclusive);
        self.processes[at].told = self.died;
        self.processes[at].fence = self.fence;
        if model.takes_the_notice_early {
            self.died = false;
        }
        Step::GrantEntry
    }

    /// It comes back from its acquisition.
    fn granted(&mut self, at: usize) -> Step {
        let own = Ticket { state: State::Waiting, ..self.ticket(at) };
        let entries = tickets(&self.entries);
        let waits = |entry: &&Ticket| entry.state == State::Waiting && self.lives(entry.number);
        let before = entries.iter().filter(waits).any(|entry| entry.blocks(&own));
        let overtook = entries.iter().filter(waits).any(|entry| entry.number < own.number);
        self.ghost.out_of_turn |= before;
        self.ghost.overtook |= overtook;
        let (writes, process) = (self.processes[at].mode == Mode::Exclusive, &self.processes[at]);
        self.ghost.not_told |= self.ghost.owed && !process.told;
        if writes {
            self.ghost.fence_fell |= process.fence <= self.ghost.last_fence;
            self.ghost.last_fence = process.fence;
            self.ghost.owed = false;
        }
        self.leave_gate(at);
        Step::Hold
    }
}
