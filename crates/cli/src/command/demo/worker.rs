//! One of the demo's processes: runs one kind of statement until its time is over, and tells what became of each.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    path::Path,
    time::{Duration, Instant},
};

use dbmux_client::blocking::Client;
use serde::{Deserialize, Serialize};

use crate::{args::DemoWorkerArgs, exit::Exit, failure::Failure};

/// Runs one statement to its end.
type Run = Box<dyn FnMut(&str) -> Result<(), String>>;

/// What became of a worker's statements.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Of each that succeeded, how long it took, in microseconds.
    pub(crate) took_us: Vec<u64>,
    /// How many failed, by error.
    pub(crate) errors: BTreeMap<String, u64>,
}

/// Waits for the start, works, and prints the tally as one JSON object.
pub(crate) fn run(args: &DemoWorkerArgs) -> Result<Exit, Failure> {
    let mut run: Run = if args.plain {
        let (path, read_only) = (args.database.clone(), !args.writes);
        Box::new(move |sql| plain(&path, read_only, sql).map(drop))
    } else {
        through_dbmux(&args.database)?
    };
    // All begin at once: when the demo closes, or writes to, their standard input.
    let _ = std::io::stdin().read(&mut [0])?;
    let tally = work(args, &mut run);
    serde_json::to_writer(std::io::stdout().lock(), &tally).map_err(|error| Failure::system(error.to_string()))?;
    Ok(std::io::stdout().flush().map(|()| Exit::Done)?)
}

fn work(args: &DemoWorkerArgs, run: &mut dyn FnMut(&str) -> Result<(), String>) -> Tally {
    let mut tally = Tally::default();
    let end = Instant::now() + Duration::from_millis(args.millis);
    for number in 0_u64.. {
        if Instant::now() >= end {
            break;
        }
        let sql = if args.writes { write(args.worker, number) } else { read(number) };
        let began = Instant::now();
        match run(&sql) {
            Ok(()) => tally.took_us.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)),
            Err(error) => *tally.errors.entry(error).or_default() += 1,
        }
    }
    tally
}

/// A row that nobody else writes.
fn write(worker: u32, number: u64) -> String {
    format!("INSERT INTO sightings VALUES ({worker}, {number}, 'N{worker:02}{number:05}', now()::TIMESTAMP)")
}

/// One month's delays, by airline.
fn read(number: u64) -> String {
    let month = number % 12 + 1;
    format!(
        "SELECT carrier, count(*), avg(arr_delay) FROM flights WHERE month = {month} GROUP BY carrier ORDER BY 3 DESC"
    )
}

/// A session that stays: the broker has the file.
fn through_dbmux(database: &Path) -> Result<Run, Failure> {
    let client = Client::open(database, super::options())?;
    let mut session = None;
    Ok(Box::new(move |sql| {
        let session = match &mut session {
            Some(session) => session,
            none => none.insert(client.session().map_err(|error| error.to_string())?),
        };
        session.run(sql).and_then(|answer| answer.collect()).map(drop).map_err(|error| error.to_string())
    }))
}

/// The file opened, used and closed, as each run of a command-line tool does. Answers with the rows.
#[cfg(feature = "duckdb")]
pub(crate) fn plain(path: &Path, read_only: bool, sql: &str) -> Result<u64, String> {
    dbmux_duckdb::plain::run(path, read_only, sql).map_err(|error| error.to_string())
}

/// There is no DuckDB in this build.
#[cfg(not(feature = "duckdb"))]
pub(crate) fn plain(_path: &Path, _read_only: bool, _sql: &str) -> Result<u64, String> {
    Err("there is no DuckDB in this build".to_owned())
}
