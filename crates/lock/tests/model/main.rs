//! A model of the lock, every interleaving of which is tried, with a crash possible before every system call.
//!
//! Each action is one system call of one process. The rule itself is the lock's own (`src/grant.rs`); the model adds the
//! table, the gate, the bytes, the sleeps, the give-ups and the crashes. What is promised is checked in every state.
#![expect(clippy::unwrap_used, reason = "a test's own way to fail and to tell")]

#[expect(dead_code, unreachable_pub, reason = "the model needs the rule, not how it is written to a file")]
#[path = "../../src/grant.rs"]
mod grant;
mod steps;

use stateright::{Checker, Model, Property};

use grant::{Mode, Priority};
use steps::{Action, Process, Step, World};

/// How much of the world is tried.
#[derive(Debug, Clone)]
struct Lock {
    processes: usize,
    crashes: u8,
    /// The notice of a holder's death is taken from the table before the grant is in it: a mistake that must be found.
    takes_the_notice_early: bool,
    /// A process that dies keeps its byte, as it would if a forked child kept it: a mistake that must be found.
    the_dead_hold: bool,
    /// Whoever finds a byte free takes its owner for dead without a second look at the entry: a mistake that must be found.
    looks_once: bool,
    /// Nothing says that an owner who has let go lives: a mistake that must be found.
    has_no_second_byte: bool,
}

const SOUND: Lock = Lock {
    processes: 3,
    crashes: 2,
    takes_the_notice_early: false,
    the_dead_hold: false,
    looks_once: false,
    has_no_second_byte: false,
};

impl Model for Lock {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let modes = 1_usize << self.processes;
        let priorities =
            [[Priority::Normal, Priority::Normal, Priority::Normal], [Priority::Low, Priority::Normal, Priority::High]];
        let of = |bits: usize, at: usize| if bits >> at & 1 == 0 { Mode::Exclusive } else { Mode::Shared };
        let mut worlds = Vec::new();
        for bits in 0..modes {
            for priority in priorities {
                let wants = (0..self.processes).map(|at| (of(bits, at), priority[at]));
                worlds.push(World::new(wants, self.crashes));
            }
        }
        worlds
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (at, process) in world.processes.iter().enumerate() {
            if process.step == Step::Ended || process.step == Step::Crashed {
                continue;
            }
            if world.can_go_on(at) {
                actions.push(Action::Go(at));
            }
            // The first one has a deadline; whoever waits for ever must be woken.
            if at == 0 && matches!(process.step, Step::Asleep(_)) {
                actions.push(Action::GiveUp(at));
                actions.push(Action::GiveUpOutside(at));
            }
            if world.crashes > 0 {
                actions.push(Action::Crash(at));
            }
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut world = world.clone();
        match action {
            Action::Go(at) => world.go(at, self),
            Action::GiveUp(at) => world.processes[at].step = Step::WantsToQuit,
            Action::GiveUpOutside(at) => world.processes[at].step = Step::LeaveEntry,
            Action::Crash(at) => world.crash(at, self),
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a writer is alone", |_, world: &World| {
                let held: Vec<&Process> = world.processes.iter().filter(|process| process.holds()).collect();
                held.len() < 2 || held.iter().all(|process| process.mode == Mode::Shared)
            }),
            Property::always("nobody is granted out of turn", |_, world: &World| !world.ghost.out_of_turn),
            Property::always("the fence only grows", |_, world: &World| !world.ghost.fence_fell),
            Property::always("the next one is told of a death", |_, world: &World| !world.ghost.not_told),
            Property::always("nobody who left is taken for dead", |_, world: &World| !world.ghost.false_death),
            Property::always("no ticket is given twice", |_, world: &World| {
                let mut numbers: Vec<u64> = world.processes.iter().filter_map(|process| process.byte).collect();
                numbers.sort_unstable();
                numbers.windows(2).all(|pair| pair[0] != pair[1])
            }),
            Property::eventually("everybody comes to an end", |_, world: &World| {
                world.processes.iter().all(|process| matches!(process.step, Step::Ended | Step::Crashed))
            }),
            Property::sometimes("readers share", |_, world: &World| {
                world.processes.iter().filter(|process| process.holds()).count() == 2
            }),
            Property::sometimes("a dead holder is reaped", |_, world: &World| world.died),
            Property::sometimes("a later ticket goes first", |_, world: &World| world.ghost.overtook),
        ]
    }
}

fn check(model: Lock) -> impl Checker<Lock> {
    model.checker().threads(2).spawn_bfs().join()
}

#[test]
fn every_interleaving_keeps_the_promises() {
    let began = std::time::Instant::now();
    let checked = check(SOUND);
    println!("{} states in {:?}", checked.unique_state_count(), began.elapsed());
    checked.assert_properties();
}

#[test]
fn a_model_that_loses_the_notice_is_found_out() {
    let wrong = Lock { takes_the_notice_early: true, ..SOUND };
    assert!(check(wrong).discovery("the next one is told of a death").is_some());
}

#[test]
fn a_model_whose_dead_hold_gets_stuck() {
    let wrong = Lock { processes: 2, crashes: 1, the_dead_hold: true, ..SOUND };
    assert!(check(wrong).discovery("everybody comes to an end").is_some());
}

#[test]
fn a_model_that_looks_once_takes_one_who_left_for_dead() {
    let wrong = Lock { processes: 2, crashes: 0, looks_once: true, ..SOUND };
    assert!(check(wrong).discovery("nobody who left is taken for dead").is_some());
}

#[test]
fn a_model_without_the_second_byte_takes_one_who_marks_for_dead() {
    let wrong = Lock { processes: 2, crashes: 0, has_no_second_byte: true, ..SOUND };
    assert!(check(wrong).discovery("nobody who left is taken for dead").is_some());
}
