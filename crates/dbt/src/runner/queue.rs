//! The order of requests, and which of them go together: a pure data structure.
//!
//! First come, first served within a priority; a higher one overtakes at most so many as the lock's tickets do. Those that
//! go together are the first one and those that follow it at once with the same merge key: a merged invocation never skips
//! over a request of another kind that came before.

use dbmux_lock::Priority;

/// A request's number, given in the order of arrival.
pub(crate) type Id = u64;

/// One that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Waiter {
    id: Id,
    rank: i64,
    /// `None`: it goes alone.
    merge: Option<String>,
}

/// Those that wait.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiters: Vec<Waiter>,
}

impl Queue {
    /// Takes its place.
    pub(crate) fn push(&mut self, id: Id, priority: Priority, merge: Option<String>) {
        let rank = i64::try_from(id).unwrap_or(i64::MAX) - priority.credit();
        let place = self.waiters.partition_point(|waiter| (waiter.rank, waiter.id) < (rank, id));
        self.waiters.insert(place, Waiter { id, rank, merge });
    }

    /// Leaves; `false`: it was not there.
    pub(crate) fn remove(&mut self, id: Id) -> bool {
        let before = self.waiters.len();
        self.waiters.retain(|waiter| waiter.id != id);
        self.waiters.len() < before
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// The first one.
    pub(crate) fn first(&self) -> Option<Id> {
        self.waiters.first().map(|waiter| waiter.id)
    }

    /// Takes the first one out, and those that go with it.
    pub(crate) fn take_group(&mut self) -> Vec<Id> {
        let Some(first) = self.waiters.first() else { return Vec::new() };
        let merge = first.merge.clone();
        let with = self.waiters.iter().skip(1).take_while(|waiter| merge.is_some() && waiter.merge == merge).count();
        self.waiters.drain(..=with).map(|waiter| waiter.id).collect()
    }

    /// Takes those out that have come to be first since, and go with a group of this merge key.
    pub(crate) fn take_more(&mut self, merge: &str) -> Vec<Id> {
        let same = self.waiters.iter().take_while(|waiter| waiter.merge.as_deref() == Some(merge)).count();
        self.waiters.drain(..same).map(|waiter| waiter.id).collect()
    }

    /// All of them in order, each with the number of those before it.
    pub(crate) fn places(&self) -> impl Iterator<Item = (Id, u32)> {
        self.waiters.iter().zip(0..).map(|(waiter, place)| (waiter.id, place))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn merge(kind: u8) -> Option<String> {
        (kind > 0).then(|| kind.to_string())
    }

    #[test]
    fn neighbours_of_a_kind_go_together_and_skip_nobody() {
        let mut queue = Queue::default();
        for (id, kind) in [(1, 1), (2, 1), (3, 2), (4, 1), (5, 0), (6, 0)] {
            queue.push(id, Priority::Normal, merge(kind));
        }
        let groups: Vec<Vec<Id>> = std::iter::repeat_with(|| queue.take_group()).take(6).collect();
        assert_eq!(groups, [vec![1, 2], vec![3], vec![4], vec![5], vec![6], vec![]]);
    }

    #[test]
    fn latecomers_join_only_from_the_front() {
        let mut queue = Queue::default();
        for (id, kind) in [(1, 1), (2, 1), (3, 2), (4, 1)] {
            queue.push(id, Priority::Normal, merge(kind));
        }
        assert_eq!((queue.take_more("1"), queue.take_more("1")), (vec![1, 2], vec![]));
        assert!(queue.remove(3) && !queue.remove(3));
        assert_eq!(queue.take_more("1"), [4]);
    }

    proptest! {
        /// Order within a priority and merge key is that of arrival; overtaking is bounded; nobody is lost.
        #[test]
        fn it_is_fair(requests in prop::collection::vec((0u8..3, 0u8..3), 1..60)) {
            let priorities = [Priority::High, Priority::Normal, Priority::Low];
            let mut queue = Queue::default();
            for (id, (priority, kind)) in (1u64..).zip(&requests) {
                queue.push(id, priorities[usize::from(*priority)], merge(*kind));
            }
            let served: Vec<Id> = std::iter::from_fn(|| Some(queue.take_group()).filter(|group| !group.is_empty()))
                .flatten()
                .collect();
            prop_assert_eq!(served.len(), requests.len());
            for (place, id) in served.iter().enumerate() {
                let own = requests[usize::try_from(*id).unwrap() - 1].0;
                let later = served[..place].iter().filter(|before| *before > id);
                for before in later {
                    let other = requests[usize::try_from(*before).unwrap() - 1].0;
                    prop_assert!(other < own, "{} overtook {}", before, id);
                    prop_assert!(before - id < 2 * 16 + 1);
                }
            }
        }
    }
}
