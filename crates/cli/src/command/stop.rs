//! `dbmux stop`: asks a broker to finish what runs, and to end; without a database, every broker of this user.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use dbmux_os::process::{self, ExitWatch, ProcessId};
use serde_json::{Value, json};

use crate::{
    args::StopArgs,
    exit::Exit,
    failure::Failure,
    render::{self, note, person},
};

/// What a broker may take beyond its drain: to release the file and to leave.
const LEAVING: Duration = Duration::from_secs(5);

/// A broker that was asked.
struct Asked {
    database: PathBuf,
    /// `None`: there was none to ask.
    pid: Option<u32>,
    process: Option<ProcessId>,
    began: Instant,
}

/// Asks, and waits until the broker's process has ended.
pub(crate) fn run(args: &StopArgs) -> Result<Exit, Failure> {
    let Some(database) = &args.database else { return all(args) };
    let asked = ask(database, args.wait)?;
    let ended = asked.ended(args.wait)?;
    if args.json {
        writeln!(render::report_output(), "{}", asked.for_program(ended))?;
    } else {
        asked.tell(ended, "the broker");
    }
    asked.outcome(ended)
}

/// Every broker of this user: all are asked first, and then waited for. What goes wrong with one does not keep the others.
fn all(args: &StopArgs) -> Result<Exit, Failure> {
    let brokers = super::block_on(async { Ok(dbmux_client::brokers().await?) })?;
    let mut exit = Ok(Exit::Done);
    let mut troubled = |failure: Failure| {
        render::error::show(&failure, args.json);
        exit = Err(Failure::quiet(failure.exit()));
    };
    let mut asked = Vec::new();
    for broker in &brokers {
        match ask(Path::new(&broker.database_path), args.wait) {
            Ok(one) => asked.push(one),
            Err(failure) => troubled(failure),
        }
    }
    let mut reports = Vec::new();
    for one in &asked {
        let ended = one.ended(args.wait)?;
        if !args.json {
            one.tell(ended, &format!("the broker of {}", one.database.display()));
        }
        reports.push(one.for_program(ended));
        if let Err(failure) = one.outcome(ended) {
            troubled(failure);
        }
    }
    if args.json {
        writeln!(render::report_output(), "{}", Value::from(reports))?;
    } else if brokers.is_empty() {
        note("no broker runs");
    }
    exit
}

fn ask(database: &Path, drain: Duration) -> Result<Asked, Failure> {
    let client = super::onlooker(database)?;
    let began = Instant::now();
    let status = super::block_on(async { Ok(client.status().await?) })?;
    // Who it is must be known before it is told to leave: later its number may be somebody else's.
    let process = status.as_ref().and_then(|status| process::id(status.pid).ok());
    let pid = super::block_on(async { Ok(client.stop(drain).await?) })?;
    Ok(Asked { database: client.database().to_owned(), pid, process, began })
}

impl Asked {
    fn ended(&self, drain: Duration) -> Result<bool, Failure> {
        match self.process.filter(|_| self.pid.is_some()) {
            Some(process) => until_gone(process, drain.saturating_add(LEAVING)),
            None => Ok(true),
        }
    }

    fn for_program(&self, ended: bool) -> Value {
        json!({ "database": self.database, "pid": self.pid, "stopped": ended && self.pid.is_some() })
    }

    fn tell(&self, ended: bool, which: &str) {
        match self.pid {
            Some(pid) if ended => {
                note(&format!("{which} (pid {pid}) has ended after {}", person::duration(self.began.elapsed())));
            }
            Some(_) => {}
            None => note(&format!("no broker serves {}", self.database.display())),
        }
    }

    fn outcome(&self, ended: bool) -> Result<Exit, Failure> {
        match self.pid {
            Some(pid) if !ended => {
                let message = format!("the broker (pid {pid}) is asked to end, and has not yet");
                Err(Failure::system(message).with_hint("see dbmux status").with_exit(Exit::TryAgain))
            }
            _ => Ok(Exit::Done),
        }
    }
}

/// Waits for the end of a process; says whether it has come.
fn until_gone(process: ProcessId, limit: Duration) -> Result<bool, Failure> {
    match ExitWatch::open(process) {
        Ok(watch) => Ok(watch.wait(Some(limit))?),
        Err(_) if !process::is_alive(process) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
