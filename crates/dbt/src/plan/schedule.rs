//! Which steps come next: a pure data structure.

use super::steps::Step;

/// What has become of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// What it needs is not there yet.
    Pending,
    /// It runs.
    Running,
    /// It is done.
    Done,
    /// It was done by an earlier run, and nothing has changed since.
    Kept,
    /// It has failed.
    Failed,
    /// Something that it needs has failed.
    Blocked,
}

impl Fate {
    fn is_there(self) -> bool {
        matches!(self, Self::Done | Self::Kept)
    }
}

/// The steps of a scenario, and what has become of each.
#[derive(Debug)]
pub struct Schedule<'a> {
    steps: &'a [Step],
    fates: Vec<Fate>,
    sequential: bool,
}

impl<'a> Schedule<'a> {
    /// Nothing has run yet. `sequential`: nothing is merged.
    pub fn new(steps: &'a [Step], sequential: bool) -> Self {
        Self { steps, fates: vec![Fate::Pending; steps.len()], sequential }
    }

    /// What has become of them, in the order of the steps.
    pub fn fates(&self) -> &[Fate] {
        &self.fates
    }

    /// The next ones to run, in one invocation: the first that is ready, and what is ready and can be merged with it. What is
    /// ready and cannot be comes after it: a scenario has one file and one dbt, which takes one request at a time.
    /// Empty: nothing is left that can run.
    pub fn next_group(&mut self) -> Vec<usize> {
        let ready: Vec<usize> = (0..self.steps.len()).filter(|step| self.is_ready(*step)).collect();
        let Some(first) = ready.first().copied() else { return Vec::new() };
        let key = |step: usize| self.steps[step].command.merge_key(&|_| None);
        let merge = key(first).filter(|_| !self.sequential);
        let group: Vec<usize> =
            ready.into_iter().filter(|step| *step == first || (merge.is_some() && key(*step) == merge)).collect();
        for step in &group {
            self.fates[*step] = Fate::Running;
        }
        group
    }

    /// It has ended.
    pub fn ended(&mut self, step: usize, fate: Fate) {
        self.fates[step] = fate;
        if fate == Fate::Failed {
            // Steps stand behind what they need.
            for later in step + 1..self.steps.len() {
                let blocked = |need: &usize| matches!(self.fates[*need], Fate::Failed | Fate::Blocked);
                if self.fates[later] == Fate::Pending && self.steps[later].needs.iter().any(blocked) {
                    self.fates[later] = Fate::Blocked;
                }
            }
        }
    }

    fn is_ready(&self, step: usize) -> bool {
        self.fates[step] == Fate::Pending && self.steps[step].needs.iter().all(|need| self.fates[*need].is_there())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::DbtCommand;

    fn step(command: &str, needs: &[usize]) -> Step {
        let command = DbtCommand::parse(command.split(' ').map(str::to_owned).collect());
        Step { name: String::new(), round: String::new(), command, needs: needs.to_vec() }
    }

    #[test]
    fn independent_steps_of_a_kind_go_together() {
        let steps =
            [step("run -s a", &[]), step("run -s b", &[]), step("test -s a", &[0]), step("run -s c", &[0, 1, 2])];
        let mut schedule = Schedule::new(&steps, false);
        assert_eq!(schedule.next_group(), [0, 1]);
        assert_eq!(schedule.next_group(), [0usize; 0], "the others need them");
        schedule.ended(0, Fate::Done);
        schedule.ended(1, Fate::Done);
        assert_eq!(schedule.next_group(), [2]);
        let mut alone = Schedule::new(&steps, true);
        assert_eq!(alone.next_group(), [0]);
    }

    #[test]
    fn a_failure_stops_what_needs_it_and_nothing_else() {
        let steps =
            [step("run -s a", &[]), step("seed", &[]), step("test", &[0]), step("build", &[2]), step("run", &[1])];
        let mut schedule = Schedule::new(&steps, false);
        schedule.next_group();
        schedule.ended(0, Fate::Failed);
        assert_eq!(schedule.fates()[2..4], [Fate::Blocked, Fate::Blocked]);
        assert_eq!(schedule.next_group(), [1]);
        schedule.ended(1, Fate::Done);
        assert_eq!(schedule.next_group(), [4]);
    }

    proptest! {
        /// Whatever fails: everything ends, nothing runs before what it needs, and what is blocked needs what failed.
        #[test]
        fn everything_comes_to_its_end(
            shape in prop::collection::vec((0usize..3, prop::collection::vec(0usize..100, 0..3), any::<bool>()), 1..30),
            sequential: bool,
        ) {
            let commands = ["run -s a", "run -s b", "test"];
            let steps: Vec<Step> = shape
                .iter()
                .enumerate()
                .map(|(at, (kind, needs, _))| {
                    let needs: Vec<usize> = if at == 0 { vec![] } else { needs.iter().map(|need| need % at).collect() };
                    step(commands[*kind], &needs)
                })
                .collect();
            let mut schedule = Schedule::new(&steps, sequential);
            loop {
                let group = schedule.next_group();
                if group.is_empty() {
                    break;
                }
                for at in group {
                    prop_assert!(steps[at].needs.iter().all(|need| schedule.fates()[*need] == Fate::Done));
                    schedule.ended(at, if shape[at].2 { Fate::Done } else { Fate::Failed });
                }
            }
            for (at, fate) in schedule.fates().iter().enumerate() {
                let broken = |need: &usize| matches!(schedule.fates()[*need], Fate::Failed | Fate::Blocked);
                let expected = if steps[at].needs.iter().any(broken) {
                    Fate::Blocked
                } else if shape[at].2 {
                    Fate::Done
                } else {
                    Fate::Failed
                };
                prop_assert_eq!(*fate, expected);
            }
        }
    }
}
