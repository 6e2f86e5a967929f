//! Runs a plan: its scenarios side by side, the steps of each merged or in order.
//!
//! The plan has the project's lock from its first step to its last. Each scenario has the leases of its own databases and a
//! warm dbt of its own, and keeps both between its steps. Two scenarios with a database in common run one after the other.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use dbmux_lock::Priority;
use dbmux_os::process;

use super::{
    Fate, PlanCancel, Scenario,
    resume::Ledger,
    scenario::ScenarioRun,
    turns::{Ground, Turns},
};
use crate::{
    DbtError, Environment, Interpreter, Project, Scope, Waiting,
    guarded::{Asking, Guarded},
    runner::protocol::{Node, Stream, Times},
    warm::Warm,
};

/// How a plan is run.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// The Python that has dbt.
    pub interpreter: Interpreter,
    /// The variables of whoever asks.
    pub environment: Environment,
    /// For how long others are waited for.
    pub wait: Duration,
    /// Who goes first.
    pub priority: Priority,
    /// Whom it excludes.
    pub scope: Scope,
    /// What people recognise it by.
    pub command: String,
    /// Nothing is merged.
    pub sequential: bool,
    /// What is unchanged since it was done is not done again.
    pub resume: bool,
    /// Scenarios that run side by side at most.
    pub parallel: usize,
}

/// What has become of a step.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// Its scenario; empty: the plan has none.
    pub scenario: String,
    /// Its name.
    pub name: String,
    /// Its repetition; empty: none.
    pub round: String,
    /// What has become of it.
    pub fate: Fate,
    /// dbt's exit code, where it ran.
    pub code: Option<u8>,
    /// Where the time of its invocation went. Steps that were merged have it in common.
    pub times: Times,
    /// Which invocation it was: those with the same number were merged.
    pub invocation: usize,
    /// Its nodes.
    pub nodes: Vec<Node>,
}

/// What is heard of a plan.
#[derive(Debug)]
pub enum PlanEvent<'a> {
    /// For whom it waits.
    Waiting(&'a Waiting),
    /// These steps of a scenario begin, in one invocation.
    Begins(&'a str, Vec<&'a str>),
    /// What dbt prints for a step.
    Output(&'a str, &'a str, Stream, &'a str),
    /// A step has ended.
    Ended(&'a StepReport),
    /// What dbmux has to say.
    Note(String),
}

/// Whoever listens. Scenarios tell side by side.
pub type Listener<'a> = &'a (dyn Fn(PlanEvent<'_>) + Sync);

/// Runs a plan. Answers for every step, scenario by scenario; that a step has failed is no error.
///
/// # Errors
/// [`DbtError::Busy`] when the time was up before it began; else what kept it from running at all.
pub fn run(
    file: &Path,
    scenarios: &[Scenario],
    project: &Project,
    options: &PlanOptions,
    cancel: &PlanCancel,
    listener: Listener<'_>,
) -> Result<Vec<StepReport>, DbtError> {
    let asking = Asking {
        project,
        scope: options.scope,
        priority: options.priority,
        began: Instant::now(),
        wait: Some(options.wait),
        command: &options.command,
        cancel: cancel.waiting.clone(),
        ours: vec![process::id(std::process::id())?],
    };
    let mut warm = Warm::usual();
    let grounds = scenarios
        .iter()
        .map(|scenario| Ground::of(scenario, project, options, &mut warm))
        .collect::<Result<Vec<_>, _>>()?;
    let databases: Vec<PathBuf> = grounds.iter().flat_map(|ground| ground.databases.clone()).collect();
    let guarded = Guarded::enter(&asking, &databases, &mut |waiting| listener(PlanEvent::Waiting(&waiting)))?;
    let plan = Plan {
        asking,
        guarded: Mutex::new(guarded),
        project,
        options,
        cancel,
        listener,
        ledger: Mutex::new(Ledger::open(project, file)?),
        turns: Turns::new(grounds),
        // The first one to run may find it as it needs it.
        warm: Mutex::new(Some(warm)),
    };
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..options.parallel.clamp(1, scenarios.len())).map(|_| scope.spawn(|| plan.work(scenarios))).collect();
        let mut reports: Vec<(usize, Vec<StepReport>)> = Vec::new();
        for worker in workers {
            reports.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        reports.sort_by_key(|(scenario, _)| *scenario);
        Ok(reports.into_iter().flat_map(|(_, reports)| reports).collect())
    })
}

/// What all scenarios have in common.
pub(super) struct Plan<'a> {
    pub(super) asking: Asking<'a>,
    pub(super) guarded: Mutex<Guarded>,
    pub(super) project: &'a Project,
    pub(super) options: &'a PlanOptions,
    pub(super) cancel: &'a PlanCancel,
    pub(super) listener: Listener<'a>,
    pub(super) ledger: Mutex<Ledger>,
    turns: Turns,
    warm: Mutex<Option<Warm>>,
}

impl Plan<'_> {
    /// Scenario after scenario, until all have begun.
    fn work(&self, scenarios: &[Scenario]) -> Vec<(usize, Vec<StepReport>)> {
        let mut reports = Vec::new();
        while let Some(turn) = self.turns.next() {
            reports.push((turn, self.scenario(&scenarios[turn], &self.turns.grounds[turn])));
            self.turns.done(turn);
        }
        reports
    }

    fn scenario(&self, scenario: &Scenario, ground: &Ground) -> Vec<StepReport> {
        let warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut run = ScenarioRun::new(self, scenario, ground, warm.unwrap_or_else(Warm::usual));
        run.keep_what_is_done();
        while !self.cancel.is_cancelled() {
            let group = run.schedule.next_group();
            if group.is_empty() {
                break;
            }
            if let Err(error) = run.invoke(&group) {
                run.failed(&group, &error);
            }
        }
        run.reports()
    }
}
