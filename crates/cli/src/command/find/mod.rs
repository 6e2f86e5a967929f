//! `dbmux who --dbt` and `dbmux wait --dbt`: who runs dbt in a project. Starts nothing, and never opens a database.

mod show;

use std::{io::Write, path::Path, time::Instant};

use dbmux_client::Holder;
use dbmux_dbt::{
    DbtCommand, Environment, Project, Whom,
    find::{Found, Search, Waiting, wait_for_dbt_completion},
    profile::{self, ProfileOptions, Read},
};
use serde_json::json;

use crate::{
    args::{WaitArgs, WhoArgs},
    exit::Exit,
    failure::Failure,
    render::{self, note, person},
};

/// Shows who runs dbt there.
pub(crate) fn who(args: &WhoArgs, named: Option<&Path>) -> Result<Exit, Failure> {
    let project = project(named)?;
    let found = search(&project).look()?;
    warn(&found);
    let mut out = render::report_output();
    if args.json {
        writeln!(out, "{}", show::for_program(&project, &found, args.explain))?;
    } else {
        write!(out, "{}", show::for_person(&project, &found, args.explain))?;
    }
    Ok(if args.check && found.is_dbt_running() { Exit::TryAgain } else { Exit::Done })
}

/// Waits until nobody does whom another dbt must wait for.
pub(crate) fn wait(args: &WaitArgs) -> Result<Exit, Failure> {
    let project = project(args.dbt.as_ref().and_then(Option::as_deref))?;
    let began = Instant::now();
    let mut told = false;
    let mut tell = |waiting: &Waiting<'_>| {
        for find in waiting.found.in_the_way() {
            let whom = person::holder(&Holder::from(&Whom::from(find)));
            note(&format!("dbt process detected, waiting for completion… {whom}"));
        }
        told = true;
    };
    let found = wait_for_dbt_completion(&search(&project), Some(args.wait), None, &mut tell)?;
    warn(&found);
    let waited = began.elapsed();
    if args.json {
        let report = json!({ "project": project.root, "running": false, "waited_s": waited.as_secs_f64() });
        writeln!(render::report_output(), "{report}")?;
    } else if told {
        note(&format!("no dbt runs any more in {}, after {}", project.root.display(), person::duration(waited)));
    } else {
        note(&format!("no dbt runs in {}", project.root.display()));
    }
    Ok(Exit::Done)
}

/// The project that is named, or the one that dbt would take here.
fn project(named: Option<&Path>) -> Result<Project, Failure> {
    let here = std::env::current_dir()?;
    Ok(match named {
        Some(named) => Project::above(&here.join(named))?,
        None => Project::of(None, &here, &environment())?,
    })
}

fn environment() -> Environment {
    std::env::vars_os().collect()
}

/// What to look for: locks too, where the profile tells the databases without dbt.
fn search(project: &Project) -> Search {
    let search = Search::new(&project.root).logs(&project.log_path);
    let options = ProfileOptions::of(&DbtCommand::parse(Vec::new()), &project.root, &environment());
    match profile::read(project, &options) {
        Ok(Read::Profile(profile)) => search.databases(profile.databases),
        Ok(Read::NeedsDbt) => {
            note("note: only dbt itself can read this profile: who has the lock on its databases is not looked for");
            search
        }
        Err(error) => {
            note(&format!("note: who has the lock on the project's databases is not looked for: {error}"));
            search
        }
    }
}

fn warn(found: &Found) {
    if let Some(blind) = &found.blind {
        note(&format!("warning: {blind}; the project's lock and the leases still hold"));
    }
}
