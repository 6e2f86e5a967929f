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
    /// A sleeper's time is over.
    GiveUp(usize),
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
    EnterToRelease,
    WantsToQuit,
    ClearEntry,
    GiveBack,
    Ended,
    Crashed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) mode: Mode,
    priority: Priority,
    pub(crate) step: Step,
    /// The ticket whose byte it has locked.
    pub(crate) byte: Option<u64>,
    fence: u64,
    told: bool,
}

impl Process {
    /// Between the call that gave it the lock and the one that begins to give it back.
    pub(crate) fn holds(&self) -> bool {
        matches!(self.step, Step::Hold | Step::EnterToRelease)
    }
}

/// Not part of the lock: what the checks must remember.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ghost {
    pub(crate) out_of_turn: bool,
    pub(crate) fence_fell: bool,
    pub(crate) not_told: bool,
    pub(crate) overtook: bool,
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
    entries: Vec<Ticket>,
    pub(crate) ghost: Ghost,
}

impl World {
    pub(crate) fn new(wants: impl Iterator<Item = (Mode, Priority)>, crashes: u8) -> Self {
        let process =
            |(mode, priority)| Process { mode, priority, step: Step::Enter, byte: None, fence: 0, told: false };
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
            Step::Enter | Step::EnterAgain | Step::EnterToRelease | Step::WantsToQuit => self.gate.is_none(),
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

    fn put(&mut self, ticket: Ticket) {
        self.entries.retain(|entry| entry.number != ticket.number);
        self.entries.push(ticket);
        self.entries.sort_by_key(|entry| entry.number);
    }

    pub(crate) fn go(&mut self, at: usize, model: &Lock) {
        let step = self.processes[at].step;
        self.processes[at].step = match step {
            Step::Enter => self.enter(at, Step::TakeByte),
            Step::EnterAgain => self.enter(at, Step::Look),
            Step::EnterToRelease | Step::WantsToQuit => self.enter(at, Step::ClearEntry),
            Step::TakeByte => {
                self.processes[at].byte = Some(self.next_ticket + 1);
                // Nobody in the way, the dead included: the grant writes number and entry, in this order.
                let free = blocker(&self.entries, &self.ticket(at)).is_none();
                if free { Step::GrantHeader } else { Step::PublishNumber }
            }
            Step::PublishNumber => {
                self.next_ticket = self.processes[at].byte.unwrap();
                Step::WriteEntry
            }
            Step::WriteEntry => {
                self.put(self.ticket(at));
                Step::Look
            }
            Step::Look => self.look(at),
            Step::ReapHeader(number) => {
                self.died |= self.entries.iter().any(|entry| entry.number == number && entry.state == State::Granted);
                Step::ReapEntry(number)
            }
            Step::ReapEntry(number) => {
                self.entries.retain(|entry| entry.number != number);
                Step::Look
            }
            Step::GrantHeader => self.grant_header(at, model),
            Step::GrantEntry => {
                self.put(Ticket { state: State::Granted, ..self.ticket(at) });
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
                self.gate = None;
                Step::Asleep(number)
            }
            Step::Asleep(_) => Step::EnterAgain,
            Step::Hold => Step::EnterToRelease,
            Step::ClearEntry => {
                let number = self.processes[at].byte.unwrap();
                self.entries.retain(|entry| entry.number != number);
                Step::GiveBack
            }
            // One call unlocks the gate and everything behind it.
            Step::GiveBack => {
                self.gate = None;
                self.processes[at].byte = None;
                Step::Ended
            }
            Step::Ended | Step::Crashed => step,
        };
    }

    fn enter(&mut self, at: usize, then: Step) -> Step {
        self.gate = Some(at);
        then
    }

    fn look(&self, at: usize) -> Step {
        let own = self.ticket(at);
        let Some(first) = blocker(&self.entries, &own) else { return Step::GrantHeader };
        let mut suspects = self.entries.iter().filter(|entry| entry.blocks(&own));
        let dead = suspects.find(|entry| !self.lives(entry.number)).map(|entry| entry.number);
        match dead {
            Some(number) => Step::ReapHeader(number),
            None => Step::LeaveGateToSleep(first.number),
        }
    }

    fn grant_header(&mut self, at: usize, model: &Lock) -> Step {
        let number = self.processes[at].byte.unwrap();
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
        let waits = |entry: &&Ticket| entry.state == State::Waiting && self.lives(entry.number);
        let before = self.entries.iter().filter(waits).any(|entry| entry.blocks(&own));
        let overtook = self.entries.iter().filter(waits).any(|entry| entry.number < own.number);
        self.ghost.out_of_turn |= before;
        self.ghost.overtook |= overtook;
        let (writes, process) = (self.processes[at].mode == Mode::Exclusive, &self.processes[at]);
        self.ghost.not_told |= self.ghost.owed && !process.told;
        if writes {
            self.ghost.fence_fell |= process.fence <= self.ghost.last_fence;
            self.ghost.last_fence = process.fence;
            self.ghost.owed = false;
        }
        self.gate = None;
        Step::Hold
    }
}
