//! Who is next: a queue with priorities and bounded overtaking, as a pure data structure.
//!
//! Each entry gets a number and a key, `number - credit(priority)`; the smallest key is next. A key never changes, so a
//! statement is overtaken at most `credit` times: no ageing, no clock, no starvation. It is the lock's own rule.

use std::collections::BTreeMap;

use dbmux_engine::Priority;

/// How many statements of the usual priority a `high` one overtakes, and how many overtake a `low` one.
const CREDIT: i64 = 64;

/// An entry's place: the smallest is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    key: i64,
    number: i64,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    next: i64,
    entries: BTreeMap<Place, T>,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self { next: 0, entries: BTreeMap::new() }
    }

    pub(crate) fn push(&mut self, priority: Priority, entry: T) -> Place {
        self.next += 1;
        let place = Place { key: self.next - credit(priority), number: self.next };
        self.entries.insert(place, entry);
        place
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.entries.pop_first().map(|(_, entry)| entry)
    }

    pub(crate) fn remove(&mut self, place: Place) -> Option<T> {
        self.entries.remove(&place)
    }

    /// How many go before this place.
    pub(crate) fn ahead(&self, place: Place) -> usize {
        self.entries.range(..place).count()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn credit(priority: Priority) -> i64 {
    match priority {
        Priority::High => CREDIT,
        Priority::Normal => 0,
        Priority::Low => -CREDIT,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn priority() -> impl Strategy<Value = Priority> {
        prop_oneof![Just(Priority::High), Just(Priority::Normal), Just(Priority::Low)]
    }

    proptest! {
        #[test]
        fn first_come_first_served_within_a_priority(priorities in proptest::collection::vec(priority(), 0..300)) {
            let mut queue = Queue::new();
            for (number, priority) in priorities.iter().enumerate() {
                queue.push(*priority, (*priority, number));
            }
            let mut last = std::collections::HashMap::new();
            while let Some((priority, number)) = queue.pop() {
                if let Some(before) = last.insert(priority, number) {
                    prop_assert!(before < number);
                }
            }
        }

        #[test]
        fn nobody_is_overtaken_more_often_than_the_credit_allows(
            steps in proptest::collection::vec((priority(), any::<bool>()), 0..600),
        ) {
            let mut queue = Queue::new();
            let mut overtaken: std::collections::HashMap<usize, usize> = std::collections::HashMap::new();
            for (number, (priority, pops)) in steps.into_iter().enumerate() {
                queue.push(priority, number);
                if pops && let Some(popped) = queue.pop() {
                    for waiting in queue.entries.values().filter(|waiting| **waiting < popped) {
                        *overtaken.entry(*waiting).or_default() += 1;
                    }
                }
            }
            let most = usize::try_from(2 * CREDIT).unwrap_or(usize::MAX);
            prop_assert!(overtaken.values().all(|times| *times <= most));
        }
    }

    #[test]
    fn counts_those_ahead_and_forgets_those_who_leave() {
        let mut queue = Queue::new();
        let first = queue.push(Priority::Normal, 'a');
        let second = queue.push(Priority::Normal, 'b');
        let urgent = queue.push(Priority::High, 'c');
        assert_eq!((queue.ahead(urgent), queue.ahead(first), queue.ahead(second)), (0, 1, 2));
        assert_eq!(queue.remove(first), Some('a'));
        assert_eq!(queue.ahead(second), 1);
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some('c'), Some('b'), None));
    }
}
