//! What the history of a lock must look like.

use std::collections::{HashMap, HashSet};

/// One ticket's way, by line numbers.
#[derive(Debug, Clone)]
struct Ticket {
    #[expect(dead_code, reason = "shown when a check fails")]
    process: u32,
    exclusive: bool,
    /// Its number less its priority's credit, once it was published.
    key: Option<(i64, u64)>,
    published: usize,
    granted: Option<usize>,
    /// It said that it would release, or that it would die.
    ended: Option<usize>,
    killed: bool,
    fence: Option<u64>,
    told_of: u32,
}

/// What happened, for a test that wants to know that something did.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) grants: usize,
    pub(crate) killed: usize,
    pub(crate) killed_holders: usize,
    pub(crate) gave_up: usize,
    pub(crate) overtaken: usize,
}

/// Reads a history and panics at the first line that must not be.
pub(crate) fn check(history: &str) -> Summary {
    let (tickets, mut summary, killed) = read(history);
    exclusion(&tickets);
    summary.overtaken = order(&tickets);
    fences(&tickets);
    deaths(&tickets, &killed);
    summary
}

fn read(history: &str) -> (Vec<Ticket>, Summary, HashSet<u32>) {
    let (mut tickets, mut present) = (Vec::<Ticket>::new(), HashMap::<u32, usize>::new());
    let (mut summary, mut next, mut killed) = (Summary::default(), 0, HashSet::new());
    for (number, line) in history.lines().enumerate() {
        let words: Vec<&str> = line.split(' ').collect();
        let process: u32 = words[0].parse().unwrap();
        let present_of = present.get(&process).copied();
        match words[1] {
            "asked" => {
                let asked: i64 = words[2].parse().unwrap();
                present.insert(process, tickets.len());
                let key = Some((asked % 10, 0));
                let (exclusive, granted) = (asked / 10 == 2, None);
                tickets.push(Ticket {
                    process,
                    exclusive,
                    key,
                    published: usize::MAX,
                    granted,
                    ended: None,
                    killed: false,
                    fence: None,
                    told_of: 0,
                });
            }
            "written" => {
                // The first write after it took its byte is the one that makes its number known. Nobody else is in the
                // gate between the two.
                let Some(ticket) = present_of.map(|at| &mut tickets[at]).filter(|it| it.published == usize::MAX) else {
                    continue;
                };
                next += 1;
                let credit = [0, 16, 0, -16][ticket.key.unwrap().0 as usize];
                ticket.key = Some((next - credit, next as u64));
                ticket.published = number;
            }
            "granted" => {
                tickets[present_of.unwrap()].granted = Some(number);
                summary.grants += 1;
            }
            "released" => {
                let ticket = &mut tickets[present_of.unwrap()];
                ticket.ended = Some(number);
                ticket.fence = Some(words[2].parse().unwrap());
                ticket.told_of = words[3].parse().unwrap();
            }
            "left" => {
                summary.gave_up += 1;
                // Without a ticket of its own, when it could not even pass the gate: the last one had ended before.
                if let Some(ticket) = present.remove(&process).map(|at| &mut tickets[at]) {
                    ticket.ended.get_or_insert(number);
                }
            }
            "killed" => {
                killed.insert(process);
                summary.killed += 1;
                if let Some(ticket) = present_of.map(|at| &mut tickets[at])
                    && ticket.ended.is_none()
                {
                    ticket.ended = Some(number);
                    ticket.killed = true;
                    summary.killed_holders += usize::from(ticket.granted.is_some());
                }
            }
            other => panic!("line {number}: {other}"),
        }
    }
    (tickets, summary, killed)
}

fn granted(tickets: &[Ticket]) -> Vec<&Ticket> {
    let mut granted: Vec<_> = tickets.iter().filter(|ticket| ticket.granted.is_some()).collect();
    granted.sort_by_key(|ticket| ticket.granted);
    granted
}

/// A writer is alone between its grant and the moment at which it says that it lets go, or dies.
fn exclusion(tickets: &[Ticket]) {
    let mut held: Vec<&Ticket> = Vec::new();
    for ticket in granted(tickets) {
        held.retain(|other| other.ended.is_none_or(|ended| ended > ticket.granted.unwrap()));
        let other = held.iter().find(|other| other.exclusive || ticket.exclusive);
        assert!(other.is_none(), "granted beside another: {ticket:?} and {other:?}");
        held.push(ticket);
    }
}

/// Nobody is granted before one that it conflicts with, that has a smaller key, and that was there and is granted later.
/// Answers how many tickets with a higher number went first, as their priority allows.
fn order(tickets: &[Ticket]) -> usize {
    let granted = granted(tickets);
    let mut overtaken = 0;
    for (at, first) in granted.iter().enumerate() {
        // Only those published before; a ticket waits for few others.
        for later in granted[at + 1..].iter().take(200) {
            let conflict = first.exclusive || later.exclusive;
            if !conflict || later.published > first.granted.unwrap() {
                continue;
            }
            assert!(first.key < later.key, "out of turn: {first:?} before {later:?}");
            overtaken += usize::from(first.key.unwrap().1 > later.key.unwrap().1);
        }
    }
    overtaken
}

fn fences(tickets: &[Ticket]) {
    let mut last = 0;
    for ticket in granted(tickets).into_iter().filter(|ticket| ticket.exclusive) {
        let Some(fence) = ticket.fence else { continue };
        assert!(fence > last, "the fence fell from {last}: {ticket:?}");
        last = fence;
    }
}

/// Whoever follows one that died holding the lock is told so.
fn deaths(tickets: &[Ticket], killed: &HashSet<u32>) {
    let granted = granted(tickets);
    for ticket in &granted {
        assert!(ticket.told_of == 0 || killed.contains(&ticket.told_of), "told of one that lives: {ticket:?}");
    }
    for pair in granted.windows(2) {
        let (before, after) = (pair[0], pair[1]);
        if before.killed && before.exclusive && after.fence.is_some() {
            // Another one may have been granted, and have died, before it came to say so: then of that one.
            assert!(after.told_of != 0, "not told: {before:?}, {after:?}");
        }
    }
}

#[test]
fn a_wrong_history_is_found_out() {
    let writer = |pid: u32| format!("{pid} asked 22\n{pid} written\n");
    let two = format!("{}1 granted\n{}2 granted\n1 released 1 0\n2 released 2 0\n", writer(1), writer(2));
    assert!(std::panic::catch_unwind(|| check(&two)).is_err(), "two writers");
    let swapped = format!("{}{}2 granted\n2 released 1 0\n1 granted\n1 released 2 0\n", writer(1), writer(2));
    assert!(std::panic::catch_unwind(|| check(&swapped)).is_err(), "out of turn");
    let fell = format!("{}1 granted\n1 released 5 0\n{}2 granted\n2 released 5 0\n", writer(1), writer(2));
    assert!(std::panic::catch_unwind(|| check(&fell)).is_err(), "the fence stood still");
    let silent = format!("{}1 granted\n1 killed\n{}2 granted\n2 released 2 0\n", writer(1), writer(2));
    assert!(std::panic::catch_unwind(|| check(&silent)).is_err(), "not told of a death");
    let right = format!("{}1 granted\n1 killed\n{}2 granted\n2 released 2 1\n", writer(1), writer(2));
    assert_eq!(check(&right).grants, 2);
}
