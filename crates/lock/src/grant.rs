//! Who goes first: a pure function of the tickets.
//!
//! A ticket's key is its number less its priority's credit, and never changes. A ticket waits for those that conflict with
//! it and are granted, or wait with a smaller `(key, number)`. Credit is counted in tickets, so a ticket is overtaken at
//! most `credit` times: no ageing, no clock, no starvation.

/// Beside other readers, or alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Beside others that share it.
    Shared = 1,
    /// Alone.
    Exclusive = 2,
}

impl Mode {
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Shared, Self::Exclusive].into_iter().find(|mode| *mode as u8 == code)
    }
}

/// Who goes first among those who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Priority {
    /// Overtakes a bounded number of the others.
    High = 1,
    /// The usual one.
    #[default]
    Normal = 2,
    /// Is overtaken by the others, a bounded number of times.
    Low = 3,
}

/// How many tickets of the next lower priority one of a priority overtakes at most.
pub const CREDIT: i64 = 16;

impl Priority {
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::High, Self::Normal, Self::Low].into_iter().find(|priority| *priority as u8 == code)
    }

    /// What is taken from a ticket's number to make its key.
    pub fn credit(self) -> i64 {
        match self {
            Self::High => CREDIT,
            Self::Normal => 0,
            Self::Low => -CREDIT,
        }
    }
}

/// Whether a ticket has the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It waits.
    Waiting = 1,
    /// It has the lock.
    Granted = 2,
}

impl State {
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Waiting, Self::Granted].into_iter().find(|state| *state as u8 == code)
    }
}

/// A ticket, as far as the rule is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ticket {
    pub(crate) number: u64,
    pub(crate) key: i64,
    pub(crate) mode: Mode,
    pub(crate) state: State,
}

impl Ticket {
    pub(crate) fn waiting(number: u64, mode: Mode, priority: Priority) -> Self {
        let key = i64::try_from(number).unwrap_or(i64::MAX) - priority.credit();
        Self { number, key, mode, state: State::Waiting }
    }

    /// Whether this ticket must leave before the other is granted.
    pub(crate) fn blocks(&self, other: &Self) -> bool {
        let conflict = self.mode == Mode::Exclusive || other.mode == Mode::Exclusive;
        let first = self.state == State::Granted || (self.key, self.number) < (other.key, other.number);
        self.number != other.number && conflict && first
    }
}

/// The one to sleep on: of those that block the ticket, the one with the largest key. Every one of them must leave before
/// the grant, so sleeping on any loses no wake-up; this one is likely the last to leave.
pub(crate) fn blocker(tickets: &[Ticket], of: &Ticket) -> Option<Ticket> {
    tickets.iter().filter(|ticket| ticket.blocks(of)).max_by_key(|ticket| (ticket.key, ticket.number)).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mode() -> impl Strategy<Value = Mode> {
        prop_oneof![Just(Mode::Shared), Just(Mode::Exclusive)]
    }

    fn priority() -> impl Strategy<Value = Priority> {
        prop_oneof![Just(Priority::High), Just(Priority::Normal), Just(Priority::Low)]
    }

    #[derive(Debug, Clone)]
    enum Step {
        Ask(Mode, Priority),
        Leave(prop::sample::Index),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (mode(), priority()).prop_map(|(mode, priority)| Step::Ask(mode, priority)),
            any::<prop::sample::Index>().prop_map(Step::Leave),
        ];
        proptest::collection::vec(step, 0..120)
    }

    /// The rule by hand: sort the waiting; grant from the front as long as nobody granted or before them is in conflict.
    fn oracle(tickets: &[Ticket]) -> Vec<u64> {
        let mut held: Vec<Ticket> = tickets.iter().filter(|ticket| ticket.state == State::Granted).copied().collect();
        let mut waiting: Vec<Ticket> =
            tickets.iter().filter(|ticket| ticket.state == State::Waiting).copied().collect();
        waiting.sort_by_key(|ticket| (ticket.key, ticket.number));
        let mut granted = Vec::new();
        for ticket in waiting {
            let writes = |held: &Ticket| held.mode == Mode::Exclusive;
            if held.iter().all(|held| !writes(held) && ticket.mode == Mode::Shared) {
                granted.push(ticket.number);
            }
            // Whoever comes behind must not overtake it, granted or not.
            held.push(ticket);
        }
        granted.sort_unstable();
        granted
    }

    proptest! {
        #[test]
        fn grants_what_the_naive_rule_grants(steps in steps()) {
            let mut tickets: Vec<Ticket> = Vec::new();
            let mut next = 0;
            for step in steps {
                match step {
                    Step::Ask(mode, priority) => {
                        next += 1;
                        tickets.push(Ticket::waiting(next, mode, priority));
                    }
                    Step::Leave(_) if tickets.is_empty() => {}
                    Step::Leave(which) => {
                        tickets.swap_remove(which.index(tickets.len()));
                    }
                }
                let expected = oracle(&tickets);
                // One after the other, in any order: a grant never blocks one that the oracle grants beside it.
                let mut granted = Vec::new();
                for at in 0..tickets.len() {
                    if tickets[at].state == State::Waiting && blocker(&tickets, &tickets[at]).is_none() {
                        tickets[at].state = State::Granted;
                        granted.push(tickets[at].number);
                    }
                }
                granted.sort_unstable();
                prop_assert_eq!(granted, expected);
                let writers = tickets.iter().filter(|ticket| ticket.state == State::Granted && ticket.mode == Mode::Exclusive).count();
                let held = tickets.iter().filter(|ticket| ticket.state == State::Granted).count();
                prop_assert!(writers == 0 || held == 1, "a writer is alone");
                let stuck = !tickets.is_empty() && held == 0;
                prop_assert!(!stuck, "somebody always has the lock while anybody is there");
            }
        }
    }
}
