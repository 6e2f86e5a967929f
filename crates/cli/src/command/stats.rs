//! `dbmux stats`: what the broker has done since its start, and the file's locks since they were made; without a database,
//! those of every broker of this user.

use std::{io::Write, path::Path};

use dbmux_report::{
    Concurrent,
    stats::{self, Figures, for_person, for_program},
};
use serde_json::Value;

use crate::{args::StatsArgs, exit::Exit, failure::Failure, render};

/// Shows the figures.
pub(crate) fn run(args: &StatsArgs) -> Result<Exit, Failure> {
    let (known, exit) = match &args.database {
        Some(database) => (vec![figures(database)?], Ok(Exit::Done)),
        None => all(args.json)?,
    };
    let mut out = render::report_output();
    match (&args.database, args.json) {
        _ if args.text => write!(out, "{}", Concurrent::of(&known).text())?,
        (Some(_), true) => known.iter().try_for_each(|one| writeln!(out, "{}", for_program(one)))?,
        (Some(_), false) => known.iter().try_for_each(|one| write!(out, "{}", for_person(one)))?,
        (None, true) => writeln!(out, "{}", Value::from_iter(known.iter().map(for_program)))?,
        (None, false) if known.is_empty() && exit.is_ok() => writeln!(out, "no broker runs")?,
        (None, false) => {
            known.iter().try_for_each(|one| write!(out, "{}\n{}", one.database.display(), for_person(one)))?;
        }
    }
    exit
}

/// Those of every broker of this user. One that does not answer is told on standard error, and the others are shown.
fn all(json: bool) -> Result<(Vec<Figures>, Result<Exit, Failure>), Failure> {
    let brokers = super::block_on(async { Ok(dbmux_client::brokers().await?) })?;
    let mut exit = Ok(Exit::Done);
    let mut known = Vec::new();
    for broker in &brokers {
        match figures(Path::new(&broker.database_path)) {
            Ok(figures) => known.push(figures),
            Err(failure) => {
                render::error::show(&failure, json);
                exit = Err(Failure::quiet(failure.exit()));
            }
        }
    }
    Ok((known, exit))
}

fn figures(database: &Path) -> Result<Figures, Failure> {
    let client = super::onlooker(database)?;
    super::block_on(async { Ok(stats::figures(&client).await?) })
}
