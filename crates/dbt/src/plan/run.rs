//! Runs a plan: its scenarios side by side, the steps of each merged or in order.
//!
//! The plan has the project's lock from its first step to its last. Each scenario has the leases of its own databases and a
//! warm dbt of its own, and keeps both between its steps. Two scenarios with a database in common run one after the other.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use dbmux_client::Reads;
use dbmux_lock::{CancelFlag, Priority};
use dbmux_os::process;

use super::{
    Fate, PlanFile, ScenarioFile, Schedule, Step,
    resume::{self, Ledger},
    steps,
};
use crate::{
    DbtCommand, DbtError, Environment, Interpreter, Project, Scope, Waiting,
    guarded::{self, Asking, Guarded},
    host::{self, Heard, Job},
    profile::{self, Profile, ProfileOptions},
    runner::protocol::{Node, Stream, Times},
    warm::{Cancel, Setting, Warm},
};

/// How a plan is run.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// Where it is run.
    pub directory: PathBuf,
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

/// One scenario of a plan, with everything filled in.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Empty: the plan has none.
    pub name: String,
    /// Its steps.
    pub steps: Vec<Step>,
    environment: BTreeMap<String, String>,
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

/// The scenarios of a plan.
///
/// # Errors
/// The reason, when it makes no sense.
pub fn scenarios(plan: &PlanFile) -> Result<Vec<Scenario>, String> {
    let only = [ScenarioFile { name: String::new(), vars: toml::Table::new(), target: None, env: BTreeMap::new() }];
    let files = if plan.scenarios.is_empty() { &only[..] } else { &plan.scenarios[..] };
    let mut names = HashSet::new();
    let mut all = Vec::new();
    for file in files {
        let plain = file.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !plan.scenarios.is_empty() && (file.name.is_empty() || !plain || file.name.starts_with('.')) {
            return Err(format!("`{}` cannot be a scenario's name: use letters, digits, `-`, `_` and `.`", file.name));
        }
        if !names.insert(&file.name) {
            return Err(format!("two scenarios are called `{}`", file.name));
        }
        let mut steps = steps(plan, &file.vars)?;
        for step in &mut steps {
            step.command = placed(&step.command, file);
        }
        all.push(Scenario { name: file.name.clone(), steps, environment: file.env.clone() });
    }
    Ok(all)
}

/// With its scenario's target, and a place of its own for what dbt writes.
fn placed(command: &DbtCommand, scenario: &ScenarioFile) -> DbtCommand {
    let mut command = command.clone();
    if let Some(target) = &scenario.target {
        command = command.with("--target", &[target]);
    }
    if !scenario.name.is_empty() {
        for (option, folder) in [("--target-path", "target"), ("--log-path", "logs")] {
            if !command.has(option) {
                command = command.with(option, &[&format!("{folder}/{}", scenario.name)]);
            }
        }
    }
    command
}

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
    let grounds =
        scenarios.iter().map(|scenario| Ground::of(scenario, project, options)).collect::<Result<Vec<_>, _>>()?;
    let databases: Vec<PathBuf> = grounds.iter().flat_map(|ground| ground.profile.databases.clone()).collect();
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
    };
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..options.parallel.clamp(1, scenarios.len())).map(|_| scope.spawn(|| plan.work(scenarios))).collect();
        let mut reports: Vec<(usize, Vec<StepReport>)> = Vec::new();
        for worker in workers {
            reports.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        reports.sort_by_key(|(scenario, _)| *scenario);
        Ok(reports.into_iter().flat_map(|(_, reports)| reports).collect())
    })
}

/// Ends a plan, as Ctrl-C.
#[derive(Debug, Default)]
pub struct PlanCancel {
    waiting: CancelFlag,
    running: Mutex<(bool, Vec<Cancel>)>,
}

impl PlanCancel {
    /// What runs stops as dbt does; nothing else is begun.
    pub fn cancel(&self) {
        self.waiting.cancel();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.0 = true;
        running.1.iter().for_each(Cancel::cancel);
    }

    /// Whether it was.
    pub fn is_cancelled(&self) -> bool {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Something that is cancelled with it.
    fn child(&self) -> Cancel {
        let child = Cancel::new();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.0 {
            child.cancel();
        }
        running.1.push(child.clone());
        child
    }
}

/// Where a scenario runs.
struct Ground {
    setting: Setting,
    profile: Profile,
    /// Of the project's files and the environment.
    mark: u64,
    /// Started already where dbt had to be asked for the profile.
    warm: Mutex<Option<Warm>>,
}

impl Ground {
    fn of(scenario: &Scenario, project: &Project, options: &PlanOptions) -> Result<Self, DbtError> {
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
struct Turns {
    grounds: Vec<Ground>,
    state: Mutex<TurnState>,
    changed: Condvar,
}

#[derive(Default)]
struct TurnState {
    begun: HashSet<usize>,
    in_use: HashSet<PathBuf>,
}

impl Turns {
    fn new(grounds: Vec<Ground>) -> Self {
        Self { grounds, state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, TurnState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next one whose databases nobody here uses; `None`: all have begun.
    fn next(&self) -> Option<usize> {
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

    fn done(&self, scenario: usize) {
        let mut state = self.state();
        for path in &self.grounds[scenario].profile.databases {
            state.in_use.remove(path);
        }
        self.changed.notify_all();
    }
}

struct Plan<'a> {
    asking: Asking<'a>,
    guarded: Mutex<Guarded>,
    project: &'a Project,
    options: &'a PlanOptions,
    cancel: &'a PlanCancel,
    listener: Listener<'a>,
    ledger: Mutex<Ledger>,
    turns: Turns,
}

impl Plan<'_> {
    /// Scenario after scenario, until all have begun.
    fn work(&self, scenarios: &[Scenario]) -> Result<Vec<(usize, Vec<StepReport>)>, DbtError> {
        let mut reports = Vec::new();
        while let Some(turn) = self.turns.next() {
            let done = self.scenario(&scenarios[turn], &self.turns.grounds[turn]);
            self.turns.done(turn);
            reports.push((turn, done?));
        }
        Ok(reports)
    }

    fn scenario(&self, scenario: &Scenario, ground: &Ground) -> Result<Vec<StepReport>, DbtError> {
        let mut run = ScenarioRun::new(self, scenario, ground);
        run.keep_what_is_done();
        while !self.cancel.is_cancelled() {
            let group = run.schedule.next_group();
            if group.is_empty() {
                break;
            }
            run.invoke(&group)?;
        }
        Ok(run.reports())
    }
}

/// A scenario that runs.
struct ScenarioRun<'a> {
    plan: &'a Plan<'a>,
    scenario: &'a Scenario,
    ground: &'a Ground,
    schedule: Schedule<'a>,
    warm: Warm,
    lease: Option<dbmux_client::Lease>,
    invocations: usize,
    ended: BTreeMap<usize, StepReport>,
}

impl<'a> ScenarioRun<'a> {
    fn new(plan: &'a Plan<'a>, scenario: &'a Scenario, ground: &'a Ground) -> Self {
        Self {
            plan,
            scenario,
            ground,
            schedule: Schedule::new(&scenario.steps, plan.options.sequential),
            warm: ground.warm.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(Warm::usual),
            lease: None,
            invocations: 0,
            ended: BTreeMap::new(),
        }
    }

    fn ledger_name(&self, step: usize) -> String {
        format!("{}/{}", self.scenario.name, self.scenario.steps[step].name)
    }

    fn marks(&self) -> Vec<String> {
        resume::marks(&self.scenario.steps, self.ground.mark, &self.ground.profile.databases)
    }

    fn keep_what_is_done(&mut self) {
        if !self.plan.options.resume {
            return;
        }
        let marks = self.marks();
        let ledger = self.plan.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, step) in self.scenario.steps.iter().enumerate() {
            let needs = step.needs.iter().all(|need| self.schedule.fates()[*need] == Fate::Kept);
            if needs && ledger.has(&self.ledger_name(at), &marks[at]) {
                self.schedule.ended(at, Fate::Kept);
            }
        }
    }

    fn invoke(&mut self, group: &[usize]) -> Result<(), DbtError> {
        let began = Instant::now();
        let names = group.iter().map(|step| self.scenario.steps[*step].name.as_str()).collect();
        (self.plan.listener)(PlanEvent::Begins(&self.scenario.name, names));
        self.write(group, false)?;
        self.take_lease()?;
        let waiting = began.elapsed().as_secs_f64();
        let ended = self.dbt(group)?;
        self.invocations += 1;
        for (step, mut ended) in group.iter().zip(ended) {
            ended.times.waiting = waiting;
            let fate = if ended.code == 0 { Fate::Done } else { Fate::Failed };
            self.schedule.ended(*step, fate);
            let report = StepReport {
                code: Some(ended.code),
                times: ended.times,
                invocation: self.invocations,
                nodes: ended.nodes,
                ..self.report(*step)
            };
            (self.plan.listener)(PlanEvent::Ended(&report));
            self.ended.insert(*step, report);
        }
        let done: Vec<usize> =
            group.iter().copied().filter(|step| self.schedule.fates()[*step] == Fate::Done).collect();
        self.write(&done, true)
    }

    fn write(&self, group: &[usize], done: bool) -> Result<(), DbtError> {
        let marks = self.marks();
        let mut ledger = self.plan.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        group.iter().try_for_each(|step| ledger.set(&self.ledger_name(*step), done.then_some(marks[*step].as_str())))
    }

    /// Once for the whole scenario.
    fn take_lease(&mut self) -> Result<(), DbtError> {
        if self.lease.is_none() {
            let asking = Asking { began: Instant::now(), ..self.plan.asking.clone() };
            let listener = self.plan.listener;
            self.lease = guarded::lease(&asking, &self.ground.profile.databases, Reads::Snapshot, &mut |waiting| {
                listener(PlanEvent::Waiting(&waiting));
            })?;
        }
        Ok(())
    }

    fn dbt(&mut self, group: &[usize]) -> Result<Vec<crate::runner::protocol::Ended>, DbtError> {
        let commands: Vec<&DbtCommand> = group.iter().map(|step| &self.scenario.steps[*step].command).collect();
        let mut descriptors = self.plan.guarded.lock().unwrap_or_else(PoisonError::into_inner).descriptors()?;
        if let Some(lease) = &self.lease {
            descriptors.extend(lease.descriptors()?);
        }
        let borrowed: Vec<_> = descriptors.iter().map(std::os::fd::AsFd::as_fd).collect();
        let cancel = self.plan.cancel.child();
        let job = Job {
            commands: &commands,
            setting: &self.ground.setting,
            directory: &self.plan.project.root,
            descriptors: &borrowed,
            cancel: &cancel,
            profile_has_threads: self.ground.profile.threads.is_some(),
        };
        let (plan, scenario) = (self.plan, self.scenario);
        host::run(&mut self.warm, &job, &mut |heard| match heard {
            Heard::Output { member, stream, text } => {
                let step = group.get(member).map_or("", |step| scenario.steps[*step].name.as_str());
                (plan.listener)(PlanEvent::Output(&scenario.name, step, stream, text));
            }
            Heard::Note(text) => (plan.listener)(PlanEvent::Note(text)),
            Heard::Started { .. } => {}
        })
    }

    fn report(&self, step: usize) -> StepReport {
        StepReport {
            scenario: self.scenario.name.clone(),
            name: self.scenario.steps[step].name.clone(),
            round: self.scenario.steps[step].round.clone(),
            fate: self.schedule.fates()[step],
            code: None,
            times: Times::default(),
            invocation: 0,
            nodes: Vec::new(),
        }
    }

    fn reports(mut self) -> Vec<StepReport> {
        (0..self.scenario.steps.len())
            .map(|step| self.ended.remove(&step).unwrap_or_else(|| self.report(step)))
            .collect()
    }
}
