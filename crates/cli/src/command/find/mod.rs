//! `dbmux who --dbt` and `dbmux wait --dbt`: who runs dbt in a project. Never opens a database, and starts nothing but,
//! where only dbt can read the profile, the Python that has it.

mod databases;
mod show;

use std::{io::Write, path::Path, time::Instant};

use dbmux_client::Holder;
use dbmux_dbt::{
    Environment, Project, Whom,
    find::{Found, Search, Waiting, wait_for_dbt_completion},
};
use serde_json::json;

use self::databases::Databases;
use crate::{
    args::{WaitArgs, WhoArgs},
    exit::Exit,
    failure::Failure,
    render::{self, note, person},
};

/// Shows who runs dbt there.
pub(crate) fn who(args: &WhoArgs, named: Option<&Path>) -> Result<Exit, Failure> {
    let project = project(named)?;
    let search = Databases::read(&project).or_ask(&project).add_to(&project, search(&project));
    let found = search.look()?;
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
    let mut wait = |search: &Search| {
        let left = args.wait.saturating_sub(began.elapsed());
        wait_for_dbt_completion(search, Some(left), None, &mut tell)
    };
    let databases = Databases::read(&project);
    let found = if databases.need_dbt() {
        // It takes its time: whoever is seen without it is waited for first, and no longer than was said.
        wait(&search(&project))?;
        wait(&databases.or_ask(&project).add_to(&project, search(&project)))?
    } else {
        wait(&databases.add_to(&project, search(&project)))?
    };
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

/// What to look for, but for the locks.
fn search(project: &Project) -> Search {
    Search::new(&project.root).logs(&project.log_path)
}

fn warn(found: &Found) {
    if let Some(blind) = &found.blind {
        note(&format!("warning: {blind}; the project's lock and the leases still hold"));
    }
}
