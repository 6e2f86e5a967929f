//! Where scenarios run, and whose turn it is: two with a database in common run one after the other.

use std::{
    collections::{BTreeSet, HashSet},
    path::PathBuf,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{PlanOptions, Scenario, resume};
use crate::{
    DbtError, Project,
    profile::{self, Profile, ProfileOptions},
    warm::{Setting, Warm},
};

/// Where a scenario runs.
pub(super) struct Ground {
    pub(super) setting: Setting,
    /// All that its steps open.
    pub(super) databases: Vec<PathBuf>,
    pub(super) profile_has_threads: bool,
    /// Of the project's files, the profiles and the environment.
    pub(super) mark: u64,
    /// Until its profiles were known, in seconds: dbt may have had to be asked.
    pub(super) asked_for: f64,
}

impl Ground {
    /// dbt is asked through `warm` where it must be.
    pub(super) fn of(
        scenario: &Scenario,
        project: &Project,
        options: &PlanOptions,
        warm: &mut Warm,
    ) -> Result<Self, DbtError> {
        let began = Instant::now();
        let mut environment = options.environment.clone();
        environment.extend(scenario.environment.iter().map(|(name, value)| (name.clone(), value.clone())));
        let mut setting = Setting::new(options.interpreter.clone(), environment, &project.root);
        let mut profiles: Vec<Profile> = Vec::new();
        let mut known = HashSet::new();
        for step in &scenario.steps {
            let chosen = ["--profiles-dir", "--profile", "--target"].map(|option| step.command.value(option));
            if !known.insert(chosen) {
                continue;
            }
            // dbt runs in the project: relative paths begin there.
            let asked = ProfileOptions::of(&step.command, &project.root, &setting.environment);
            setting = asked.file().into_iter().fold(setting, Setting::watching);
            profiles.push(profile::read_or_ask(project, &asked, &setting, warm)?);
        }
        let databases: BTreeSet<PathBuf> = profiles.iter().flat_map(|profile| profile.databases.clone()).collect();
        Ok(Self {
            mark: resume::ground(project, &setting.environment, &profiles)?,
            setting,
            databases: databases.into_iter().collect(),
            profile_has_threads: profiles.iter().any(|profile| profile.threads.is_some()),
            asked_for: began.elapsed().as_secs_f64(),
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
            let free = |at: &usize| !self.grounds[*at].databases.iter().any(|path| state.in_use.contains(path));
            if let Some(next) = waiting.find(free) {
                state.begun.insert(next);
                state.in_use.extend(self.grounds[next].databases.iter().cloned());
                return Some(next);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn done(&self, scenario: usize) {
        let mut state = self.state();
        for path in &self.grounds[scenario].databases {
            state.in_use.remove(path);
        }
        self.changed.notify_all();
    }
}
