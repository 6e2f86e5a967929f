//! `dbmux dbt`: dbt under its project's lock and its databases' leases, in the project's runner or at this terminal.

mod cold;
mod failed;
mod plan;
pub(crate) mod runner;
mod told;
mod warm;

use std::path::PathBuf;

use dbmux_dbt::{DbtCommand, DbtError, Environment, Interpreter, Kind, Project, Scope};
use dbmux_lock::Priority;

use crate::{
    args::{DbtArgs, DbtCommandArg, DbtOptions, DbtScopeArg},
    exit::Exit,
    failure::Failure,
};

/// What is asked for, and where.
struct Asked {
    command: DbtCommand,
    directory: PathBuf,
    interpreter: Interpreter,
    options: DbtOptions,
}

/// Runs it.
pub(crate) fn run(args: DbtArgs) -> Result<Exit, Failure> {
    if let Some(DbtCommandArg::Plan(plan)) = args.plan {
        return plan::run(plan);
    }
    let command = DbtCommand::parse(args.args);
    let directory = std::env::current_dir()?;
    let interpreter = Interpreter::find(args.options.dbt.as_deref(), &directory, &environment())?;
    let asked = Asked { command, directory, interpreter, options: args.options };
    if !asked.command.kind().touches_project() {
        return cold::aside(&asked);
    }
    let project = match asked.project() {
        Ok(project) => project,
        // It is there to say what is wrong.
        Err(_) if asked.command.kind() == Kind::Debug => return cold::aside(&asked),
        Err(error) => return Err(error.into()),
    };
    if args.cold || !asked.command.kind().may_be_warm() || cold::runs_inside_lease(&asked, &project)? {
        return cold::run(&asked, &project);
    }
    warm::run(&asked, &project)
}

impl Asked {
    fn project(&self) -> Result<Project, DbtError> {
        Project::above(&self.command.project_directory(&self.directory, &variable))
    }

    fn priority(&self) -> Option<Priority> {
        self.options.priority.map(Priority::from)
    }

    fn scope(&self) -> Scope {
        self.options.scope.into()
    }
}

/// This process's variables.
fn environment() -> Environment {
    std::env::vars_os().collect()
}

impl From<DbtScopeArg> for Scope {
    fn from(scope: DbtScopeArg) -> Self {
        match scope {
            DbtScopeArg::Project => Self::Project,
            DbtScopeArg::Global => Self::Global,
        }
    }
}

/// A variable of this process, where it is text.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
