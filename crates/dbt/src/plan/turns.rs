//! Where scenarios run, and whose turn it is: two with a database in common run one after the other.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{PlanOptions, Scenario, resume};
use crate::{
    DbtCommand, DbtError, Project,
    profile::{self, Profile, ProfileOptions},
    warm::{Setting, Warm},
};

/// Where a scenario runs.
pub(super) struct Ground {
    pub(super) setting: Setting,
    pub(super) profile: Profile,
    /// Of the project's files and the environment.
    pub(super) mark: u64,
    /// Started already where dbt had to be asked for the profile.
    pub(super) warm: Mutex<Option<Warm>>,
}

impl Ground {
    pub(super) fn of(scenario: &Scenario, project: &Project, options: &PlanOptions) -> Result<Self, DbtError> {
        let mut environment = options.environment.clone();
        environment.extend(scenario.environment.iter().map(|(name, value)| (name.clone(), value.clone())));
        let first =
            scenario.steps.first().map(|step| step.command.clone()).unwrap_or_else(|| DbtCommand::parse(vec![]));
        let asked = ProfileOptions::of(&first, &options.directory, &environment);
        let setting = Setting::for_profile(options.interpreter.clone(), environment, &project.root, &asked);
        let mut warm = Warm::usual();
        let profile = profile::read_or_ask(project, &asked, &setting, &mut warm)?;
        Ok(Self {
            setting,
            mark: resume::ground(project, &scenario.environment)?,
            profile,
            warm: Mutex::new(Some(warm)),
        })
    }
}

/// Which scenario is whose turn.
pub(super) struct Turns {
    pub(super) grounds: Vec<Ground>,
    state: Mutex<TurnState>,
    changed: Condvar,
}

#[derive(Default)]
struct TurnState {
    begun: HashSet<usize>,
    in_use: HashSet<PathBuf>,
}

impl Turns {
    pub(super) fn new(grounds: Vec<Ground>) -> Self {
        Self { grounds, state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, TurnState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next one whose databases nobody here uses; `None`: all have begun.
    pub(super) fn next(&self) -> Option<usize> {
        let mut state = self.state();
        loop {
            let waiting = (0..self.grounds.len()).filter(|at| !state.begun.contains(at));
            let mut waiting = waiting.peekable();
            waiting.peek()?;
            let free = |at: &usize| !self.grounds[*at].profile.databases.iter().any(|path| state.in_use.contains(path));
            if let Some(next) = waiting.find(free) {
                state.begun.insert(next);
                state.in_use.extend(self.grounds[next].profile.databases.iter().cloned());
                return Some(next);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn done(&self, scenario: usize) {
        let mut state = self.state();
        for path in &self.grounds[scenario].profile.databases {
            state.in_use.remove(path);
        }
        self.changed.notify_all();
    }
}
