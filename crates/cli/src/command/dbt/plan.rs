//! `dbmux dbt plan`: many steps, merged, side by side or in order; a table at the end.

mod table;

use std::{
    collections::HashMap,
    io::Write,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use dbmux_dbt::{
    Interpreter, Project,
    plan::{self, Fate, PlanCancel, PlanEvent, PlanFile, PlanOptions, Scenario, StepReport},
};
use dbmux_lock::Priority;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use super::told::Told;
use crate::{args::PlanArgs, exit::Exit, failure::Failure, render, terminal};

/// Memory that a dbt with DuckDB is given room for, in bytes.
const ROOM: u64 = 1 << 30;

/// Runs the plan.
pub(super) fn run(args: PlanArgs) -> Result<Exit, Failure> {
    let mut file = PlanFile::read(&args.file)?;
    for set in &args.set {
        let (name, values) = set.split_once('=').ok_or_else(|| Failure::usage("--set wants NAME=VALUES"))?;
        file.set(name, values).map_err(Failure::usage)?;
    }
    file.threads = args.threads.or(file.threads);
    let unusable = |reason: String| Failure::usage(format!("{}: {reason}", args.file.display()));
    let scenarios = plan::scenarios(&file).map_err(unusable)?;
    if args.dry_run {
        return dry_run(&args, &scenarios);
    }
    let project = project(&args, &file)?;
    let options = options(&args, &project, scenarios.len())?;
    let cancel = Arc::new(PlanCancel::default());
    cancel_by_signals(&cancel)?;
    let began = Instant::now();
    let show = Show::new();
    let reports = plan::run(&args.file, &scenarios, &project, &options, &cancel, &|event| show.event(event))?;
    drop(show);
    let mut out = render::report_output();
    if args.options.json {
        writeln!(out, "{}", table::for_program(&reports, began.elapsed()))?;
    } else {
        write!(out, "{}", table::for_person(&reports, began.elapsed()))?;
    }
    let finished = reports.iter().all(|report| matches!(report.fate, Fate::Done | Fate::Kept));
    Ok(match (finished, cancel.is_cancelled()) {
        (_, true) => Exit::Interrupted,
        (true, false) => Exit::Done,
        (false, false) => Exit::Failed,
    })
}

fn project(args: &PlanArgs, file: &PlanFile) -> Result<Project, Failure> {
    let beside = args.file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(match &file.project {
        Some(named) => Project::above(&beside.join(named))?,
        None => Project::above(beside)?,
    })
}

fn options(args: &PlanArgs, project: &Project, scenarios: usize) -> Result<PlanOptions, Failure> {
    let environment = super::environment();
    Ok(PlanOptions {
        interpreter: Interpreter::find(args.options.dbt.as_deref(), &project.root, &environment)?,
        environment,
        wait: args.options.wait,
        // A plan takes long: what takes short goes before it.
        priority: args.options.priority.map_or(Priority::Low, Priority::from),
        scope: args.options.scope.into(),
        command: format!("dbmux dbt plan {}", args.file.display()),
        sequential: args.options.sequential,
        resume: args.resume,
        parallel: args.parallel.unwrap_or_else(room).clamp(1, scenarios.max(1)),
    })
}

/// As many as there are cores, and room in memory.
fn room() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = dbmux_os::memory::available().map(|bytes| usize::try_from(bytes / ROOM).unwrap_or(usize::MAX));
    cores.min(memory.unwrap_or(cores)).max(1)
}

fn dry_run(args: &PlanArgs, scenarios: &[Scenario]) -> Result<Exit, Failure> {
    let mut out = render::report_output();
    if args.options.json {
        writeln!(out, "{}", table::schedule_for_program(scenarios, args.options.sequential))?;
    } else {
        write!(out, "{}", table::schedule_for_person(scenarios, args.options.sequential))?;
    }
    Ok(Exit::Done)
}

fn cancel_by_signals(cancel: &Arc<PlanCancel>) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let cancel = Arc::clone(cancel);
    std::thread::spawn(move || {
        for _ in signals.forever() {
            cancel.cancel();
        }
    });
    Ok(())
}

/// What is shown while it runs: a line a step; of one that fails, what dbt said.
struct Show {
    told: Told,
    said: Mutex<HashMap<String, String>>,
}

impl Show {
    fn new() -> Self {
        Self { told: Told::new(), said: Mutex::default() }
    }

    fn said(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn event(&self, event: PlanEvent<'_>) {
        match event {
            PlanEvent::Waiting(waiting) => self.told.waiting(waiting),
            PlanEvent::Begins(..) => self.told.quiet(),
            PlanEvent::Note(text) => self.told.note(&text),
            PlanEvent::Output(scenario, step, _, text) => {
                self.said().entry(format!("{scenario}/{step}")).or_default().push_str(text);
            }
            PlanEvent::Ended(report) => {
                let said = self.said().remove(&format!("{}/{}", report.scenario, report.name)).unwrap_or_default();
                line(report, &said);
            }
        }
    }
}

/// `done  hires[year=2024]  0.31 s, 2 nodes`.
fn line(report: &StepReport, said: &str) {
    if terminal::wants_json() {
        return;
    }
    if report.fate == Fate::Failed {
        anstream::eprint!("{said}");
    }
    render::note(&table::one_line(report));
}
