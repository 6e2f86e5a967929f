//! In a new process at this terminal, as `dbt` itself would run, under the project's lock and the databases' leases.

use std::{os::unix::process::CommandExt, path::PathBuf, process::Command, time::Instant};

use dbmux_client::{Reads, leased_around};
use dbmux_dbt::{
    Kind, Project,
    guarded::{Asking, Guarded},
    profile::{self, Profile, ProfileOptions},
    warm::{Setting, Warm},
};
use dbmux_os::{process, runtime};

use super::{Asked, told::Told};
use crate::{
    command::guarded::{self, Watched},
    exit::Exit,
    failure::Failure,
};

/// What touches neither the project nor a database needs no protection: this process becomes dbt.
pub(super) fn aside(asked: &Asked) -> Result<Exit, Failure> {
    let error = dbt(asked).exec();
    Err(Failure::system(format!("{}: {error}", asked.interpreter.script.display())))
}

/// Runs dbt, and passes its exit code on.
pub(super) fn run(asked: &Asked, project: &Project) -> Result<Exit, Failure> {
    let watched = Watched::default();
    guarded::listen(&watched)?;
    let databases = databases(asked, project)?;
    let text = format!("dbmux {}", asked.command.text());
    let asking = Asking {
        project,
        scope: asked.scope(),
        priority: asked.priority().unwrap_or_else(|| asked.command.usual_priority()),
        began: Instant::now(),
        wait: Some(asked.options.wait),
        command: &text,
        cancel: watched.cancel.clone(),
        ours: vec![process::id(std::process::id())?],
    };
    let taken = take(asked, &asking, &databases);
    let taken = taken.map_err(|failure| guarded::unless_signalled(failure, &watched))?;
    guarded::run(dbt(asked), taken, &watched)
}

/// The databases that dbt may open, as far as they can be known.
fn databases(asked: &Asked, project: &Project) -> Result<Vec<PathBuf>, Failure> {
    match (asked.command.kind(), profile(asked, project)) {
        (_, Ok(profile)) => Ok(profile.databases),
        // It is there to say what is wrong with a profile, or needs none.
        (Kind::Debug | Kind::Deps | Kind::Clean, Err(_)) => Ok(Vec::new()),
        (_, Err(failure)) => Err(failure),
    }
}

fn take(asked: &Asked, asking: &Asking<'_>, databases: &[PathBuf]) -> Result<Guarded, Failure> {
    let told = Told::new();
    let mut tell = |waiting| told.waiting(&waiting);
    let mut taken = Guarded::enter(asking, databases, &mut tell)?;
    if asked.command.kind().opens_database() {
        taken.lease(asking, databases, Reads::Snapshot, &mut tell)?;
    }
    taken.notes().for_each(|note| told.note(note));
    Ok(taken)
}

/// Whether somebody around this process has a lease on the project's database: then dbt must run inside of it too.
pub(super) fn runs_inside_lease(asked: &Asked, project: &Project) -> Result<bool, Failure> {
    if runtime::inherited_leases().is_none() {
        return Ok(false);
    }
    for database in &profile(asked, project)?.databases {
        if leased_around(database)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn profile(asked: &Asked, project: &Project) -> Result<Profile, Failure> {
    let environment = super::environment();
    let options = ProfileOptions::of(&asked.command, &asked.directory, &environment);
    let setting = Setting::for_profile(asked.interpreter.clone(), environment, &project.root, &options);
    Ok(profile::read_or_ask(project, &options, &setting, &mut Warm::usual())?)
}

fn dbt(asked: &Asked) -> Command {
    let mut command = Command::new(&asked.interpreter.script);
    command.args(asked.command.args());
    command
}
