//! `dbmux demo`: eight processes on one file, as plain DuckDB lets them and through dbmux.
//!
//! Four write and four read, for some seconds. On the plain side each statement opens the file, runs and closes it, as a
//! command-line tool does: nobody could keep it open beside the others. Both halves start with the same file, made of real
//! data that this binary carries.

mod dbt;
mod figures;
pub(crate) mod worker;

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dbmux_client::{ClientOptions, blocking::Client};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use self::figures::Figures;
use crate::{
    args::{DemoArgs, DemoOf},
    exit::Exit,
    failure::Failure,
    render, terminal,
};

/// The flights that left New York in 2013: see `data/README.md`.
static FLIGHTS: &[u8] = include_bytes!("../../../data/flights.parquet");

/// Its rows.
const ROWS: u64 = 336_776;

/// Processes of each kind.
const EACH: u32 = 4;

/// How long a worker may take beyond its time: for its last statement.
const LATE: Duration = Duration::from_secs(60);

/// Runs both halves, and shows what came of them.
pub(crate) fn run(args: &DemoArgs) -> Result<Exit, Failure> {
    match args.what {
        DemoOf::Database => database(args),
        DemoOf::Dbt => dbt::run(args),
    }
}

fn database(args: &DemoArgs) -> Result<Exit, Failure> {
    let directory = tempfile::Builder::new().prefix("dbmux-demo-").tempdir()?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let demo = Demo { directory: directory.path().to_owned(), time: Duration::from_secs(args.seconds), stop };
    let halves = demo.halves();
    let kept = args.keep.then(|| directory.keep());
    if let Some(kept) = &kept {
        render::note(&format!("the demo's files are kept in {}", kept.display()));
    }
    let (plain, dbmux) = halves?;
    let mut out = render::report_output();
    if args.json {
        let report = json!({
            "seconds": args.seconds,
            "writers": EACH,
            "readers": EACH,
            "kept": kept,
            "plain": plain.for_program(),
            "dbmux": dbmux.for_program(),
        });
        writeln!(out, "{report}")?;
    } else {
        writeln!(out, "{}", figures::table(&plain, &dbmux))?;
    }
    Ok(if dbmux.is_perfect() { Exit::Done } else { Exit::Failed })
}

/// The demo's clients start brokers that do not outlive it for long, whatever becomes of it.
pub(crate) fn options() -> ClientOptions {
    ClientOptions { broker_arguments: vec!["--idle-exit".into(), "10s".into()], ..ClientOptions::default() }
}

/// The demo's place and time.
struct Demo {
    directory: PathBuf,
    time: Duration,
    /// The person has had enough.
    stop: Arc<AtomicBool>,
}

impl Demo {
    fn halves(&self) -> Result<(Figures, Figures), Failure> {
        render::note("making a database of the 336,776 flights that left New York in 2013 …");
        let [plain, dbmux] = self.databases()?;
        let mut without = self.half(&plain, true)?;
        without.finish(rows_of(&plain)?);
        let client = Client::open(&dbmux, options())?;
        let with = self.half(&dbmux, false).and_then(|mut with| {
            with.finish(rows_through(&client)?);
            Ok(with)
        });
        // Its file is about to be deleted.
        let stopped = client.stop(Duration::from_secs(5));
        let with = with?;
        stopped?;
        Ok((without, with))
    }

    /// Two copies of the same database.
    fn databases(&self) -> Result<[PathBuf; 2], Failure> {
        let (data, plain, dbmux) = (
            self.directory.join("flights.parquet"),
            self.directory.join("plain.duckdb"),
            self.directory.join("flights.duckdb"),
        );
        std::fs::write(&data, FLIGHTS)?;
        let quoted = data.display().to_string().replace('\'', "''");
        let sql = format!(
            "CREATE TABLE sightings (worker INTEGER, number BIGINT, tailnum VARCHAR, seen TIMESTAMP); \
             CREATE TABLE flights AS FROM read_parquet('{quoted}'); FROM flights"
        );
        let rows = worker::plain(&plain, false, &sql).map_err(Failure::system)?;
        if rows != ROWS {
            return Err(Failure::system(format!("the demo's data has {rows} rows instead of {ROWS}")));
        }
        std::fs::copy(&plain, &dbmux)?;
        Ok([plain, dbmux])
    }

    /// Runs the eight processes.
    fn half(&self, database: &Path, plain: bool) -> Result<Figures, Failure> {
        let mut workers = Vec::new();
        for number in 0..2 * EACH {
            let writes = number < EACH;
            workers.push(Worker { child: self.spawn(database, plain, writes, number)?, writes });
        }
        // They are all there: go.
        let outputs: Vec<_> = workers.iter_mut().map(|worker| drain(&mut worker.child)).collect();
        self.watch(&mut workers, if plain { "plain DuckDB" } else { "dbmux" })?;
        let mut figures = Figures::default();
        for (worker, output) in workers.iter_mut().zip(outputs) {
            let text = output.join().unwrap_or_default();
            let status = worker.child.wait()?;
            let tally = serde_json::from_slice(&text);
            figures.add(tally.map_err(|_| Failure::system(format!("a demo process failed: {status}")))?, worker.writes);
        }
        Ok(figures)
    }

    fn spawn(&self, database: &Path, plain: bool, writes: bool, number: u32) -> Result<Child, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("demo-worker").arg(database).arg("--worker").arg(number.to_string());
        command.arg("--millis").arg(self.time.as_millis().to_string());
        if writes {
            command.arg("--writes");
        }
        if plain {
            command.arg("--plain");
        }
        Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
    }

    /// Shows how the time passes, until all workers have ended.
    fn watch(&self, workers: &mut [Worker], name: &str) -> Result<(), Failure> {
        let began = Instant::now();
        let bar = bar(self.time, name);
        loop {
            let elapsed = began.elapsed();
            bar.set_position(u64::try_from(elapsed.min(self.time).as_millis()).unwrap_or(u64::MAX));
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::quiet(Exit::Interrupted));
            }
            let mut running = false;
            for worker in &mut *workers {
                running |= worker.child.try_wait()?.is_none();
            }
            if !running {
                bar.finish_and_clear();
                return Ok(());
            }
            if elapsed > self.time + LATE {
                return Err(Failure::system("a demo process does not end"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// One of the eight; killed if the demo ends before it does.
struct Worker {
    child: Child,
    writes: bool,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // One that has ended is not there to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a worker, and collects what it says.
fn drain(child: &mut Child) -> std::thread::JoinHandle<Vec<u8>> {
    drop(child.stdin.take());
    let output = child.stdout.take();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut output) = output {
            // What is missing is found when it is read as JSON.
            let _ = output.read_to_end(&mut text);
        }
        text
    })
}

fn bar(time: Duration, name: &str) -> ProgressBar {
    if !terminal::stderr_is_terminal() {
        render::note(&format!("{} writers and {EACH} readers, {name}: {} s …", EACH, time.as_secs()));
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg:14} {bar:40} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(name.to_owned());
    bar
}

fn rows_of(database: &Path) -> Result<u64, Failure> {
    worker::plain(database, true, "FROM sightings").map_err(Failure::system)
}

fn rows_through(client: &Client) -> Result<u64, Failure> {
    let batches = client.session()?.run("FROM sightings")?.collect()?;
    Ok(batches.iter().map(|batch| batch.num_rows() as u64).sum())
}
