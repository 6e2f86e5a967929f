//! `dbmux probe`: what an engine allows to many processes by itself, and what they can do through dbmux.
//!
//! Real processes, spawned and never forked, have one connection each. Both modes begin with copies of one database; the
//! embeddings are made before the time begins; afterwards every row is looked at. Somebody's own database is never opened
//! here: a copy of it is.

mod claims;
mod connection;
mod crew;
mod dialect;
mod direct;
mod embed;
mod errors;
mod figures;
mod histogram;
mod job;
mod lance;
mod sql;
mod subject;
mod verify;
pub(crate) mod worker;

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use dbmux_client::{ClientOptions, blocking::Client};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use self::{
    claims::Crowd,
    crew::Crew,
    figures::Figures,
    job::{Found, Job, Mode, Report, Role, Said},
    subject::Subject,
};
use crate::{
    args::{ModeArg, ProbeArgs},
    exit::Exit,
    failure::Failure,
    render::{self, person},
    terminal,
};

/// How long a worker may take beyond its time: for its last call.
const LATE: Duration = Duration::from_secs(60);
/// How long making and reading the rows may take.
const LONG: Duration = Duration::from_secs(600);
/// How long the broker's last statements may take.
const LEAVES: Duration = Duration::from_secs(5);

/// Probes, and shows what came of it.
pub(crate) fn run(args: &ProbeArgs) -> Result<Exit, Failure> {
    let subject = Subject::of(&args.what)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    // Dropped last: while the folder is there, somebody is there to remove it.
    let mut sweeper = Crew::new(&stop);
    let folder = tempfile::Builder::new().prefix("dbmux-probe-").tempdir()?;
    let probe = Probe { args, subject, folder: folder.path().canonicalize()?, stop };
    sweeper.hire(&probe.job(Role::Sweeper, Mode::Dbmux, 0))?;
    let modes = probe.modes()?;
    folder.close()?;
    let departures = probe.departures(&modes);
    probe.show(&modes, &departures)?;
    let failed = modes.iter().any(|mode| !mode.verdict.problems.is_empty());
    Ok(if failed || !departures.is_empty() { Exit::Failed } else { Exit::Done })
}

struct Probe<'a> {
    args: &'a ProbeArgs,
    subject: Subject,
    folder: PathBuf,
    /// Somebody has had enough.
    stop: Arc<AtomicBool>,
}

impl Probe<'_> {
    fn modes(&self) -> Result<Vec<Figures>, Failure> {
        let modes: &[Mode] = match self.args.mode {
            ModeArg::Direct => &[Mode::Direct],
            ModeArg::Dbmux => &[Mode::Dbmux],
            ModeArg::Both => &[Mode::Direct, Mode::Dbmux],
        };
        let seed = self.seed()?;
        modes.iter().map(|mode| self.mode(*mode, &seed)).collect()
    }

    fn crowd(&self) -> Crowd {
        Crowd { readers: self.args.readers.into(), writers: self.args.writers.into() }
    }

    fn departures(&self, modes: &[Figures]) -> Vec<String> {
        let seen = modes.iter().filter(|_| self.args.check);
        let departures = |mode: &Figures| claims::departures(&self.subject.engine, mode.mode, self.crowd(), mode);
        seen.flat_map(departures).collect()
    }

    fn job(&self, role: Role, mode: Mode, number: u16) -> Job {
        Job {
            role,
            mode,
            engine: self.subject.engine.clone(),
            database: self.folder.join(self.subject.file(mode.name())),
            prefix: self.subject.prefix().to_owned(),
            number,
            rows: self.args.rows,
            dims: self.args.dims,
            time: self.args.duration,
        }
    }

    /// The database that each mode begins with a copy of.
    fn seed(&self) -> Result<PathBuf, Failure> {
        let seed = self.folder.join(self.subject.file("seed"));
        self.subject.copy_original(&seed, &self.stop)?;
        let (rows, dims) = (person::rows(self.args.rows.into()), self.args.dims);
        render::note(&format!("making {rows} with embeddings of {dims} numbers …"));
        let job = Job { database: seed.clone(), ..self.job(Role::Seeder, Mode::Direct, 0) };
        match self.ask(&job)? {
            Said::Seeded => Ok(seed),
            other => Err(Failure::system(format!("the rows could not be made: {other:?}"))),
        }
    }

    /// Has one process do one thing.
    fn ask(&self, job: &Job) -> Result<Said, Failure> {
        let mut crew = Crew::new(&self.stop);
        crew.hire(job)?;
        crew.wait(LONG, |_| {})?;
        let said = crew.answers().pop().unwrap_or_else(|| Err("it was not started".to_owned()));
        match said {
            Ok(Said::Failed(text)) | Err(text) => Err(Failure::system(text)),
            Ok(said) => Ok(said),
        }
    }

    fn mode(&self, mode: Mode, seed: &Path) -> Result<Figures, Failure> {
        let database = self.job(Role::Reader, mode, 0).database;
        subject::copy(seed, &database)?;
        let figures = self.work(mode);
        if mode == Mode::Dbmux {
            // Its file is about to be deleted. None runs where no client came so far.
            let options = ClientOptions { start: false, create: false, ..connection::options(&self.subject.engine) };
            let stopped = Client::open(&database, options).and_then(|client| client.stop(LEAVES));
            let figures = figures?;
            stopped?;
            return Ok(figures);
        }
        figures
    }

    /// Lets all of them work, and looks at the rows.
    fn work(&self, mode: Mode) -> Result<Figures, Failure> {
        let mut writers = Crew::new(&self.stop);
        for number in 0..self.args.writers {
            writers.hire(&self.job(Role::Writer, mode, number))?;
        }
        // Those who write come first: what is asked is what becomes of others beside them.
        writers.wait(LATE, |_| {})?;
        let mut readers = Crew::new(&self.stop);
        for number in 0..self.args.readers {
            readers.hire(&self.job(Role::Reader, mode, number))?;
        }
        readers.wait(LATE, |_| {})?;
        // What is answered from here on is another word than that they are ready.
        let (ready_writers, ready_readers) = (writers.answers(), readers.answers());
        writers.go();
        readers.go();
        let bar = self.bar(mode);
        writers.wait(self.args.duration + LATE, |elapsed| at(&bar, elapsed))?;
        readers.wait(self.args.duration + LATE, |elapsed| at(&bar, elapsed))?;
        bar.finish_and_clear();
        let wrote = reports(writers.answers(), ready_writers);
        let read = reports(readers.answers(), ready_readers);
        readers.dismiss(LATE)?;
        writers.dismiss(LATE)?;
        let found = match self.ask(&self.job(Role::Verifier, mode, 0))? {
            Said::Found(found) => found,
            other => return Err(Failure::system(format!("the rows could not be read: {other:?}"))),
        };
        Ok(self.figures(mode, &wrote, &read, &found))
    }

    fn figures(
        &self,
        mode: Mode,
        wrote: &[Result<Report, String>],
        read: &[Result<Report, String>],
        found: &Found,
    ) -> Figures {
        let mut figures = Figures::new(mode);
        for outcome in wrote {
            match outcome {
                Ok(report) => figures.writers.add(report),
                Err(how) => figures.writers.crash(how),
            }
        }
        for outcome in read {
            match outcome {
                Ok(report) => figures.readers.add(report),
                Err(how) => figures.readers.crash(how),
            }
        }
        let all: Vec<&Report> = wrote.iter().chain(read).flatten().collect();
        all.iter().for_each(|report| figures.add(report));
        // What one that crashed has written nobody knows, and so not what the others must have seen.
        if wrote.iter().all(Result::is_ok) {
            figures.stale = verify::stale(&all);
        }
        let writers: Vec<Option<&Report>> = wrote.iter().map(|outcome| outcome.as_ref().ok()).collect();
        figures.verdict = verify::verify(self.args.rows, &writers, found);
        figures
    }

    fn bar(&self, mode: Mode) -> ProgressBar {
        let text = format!(
            "{} and {}, {}",
            person::counted(self.args.writers.into(), "writer"),
            person::counted(self.args.readers.into(), "reader"),
            mode.name()
        );
        if !terminal::stderr_is_terminal() {
            render::note(&format!("{text}: {} …", humantime::format_duration(self.args.duration)));
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(millis(self.args.duration));
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {bar:40} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(text);
        bar
    }

    fn show(&self, modes: &[Figures], departures: &[String]) -> Result<(), Failure> {
        let mut out = render::report_output();
        if self.args.json {
            let mut report = json!({
                "engine": self.subject.engine,
                "rows": self.args.rows,
                "dims": self.args.dims,
                "readers": self.args.readers,
                "writers": self.args.writers,
                "duration_s": self.args.duration.as_secs_f64(),
                "seed": job::SEED,
                "modes": modes.iter().map(Figures::for_program).collect::<Vec<_>>(),
            });
            if self.args.check
                && let Some(report) = report.as_object_mut()
            {
                report.insert("departures".to_owned(), json!(departures));
            }
            return Ok(writeln!(out, "{report}")?);
        }
        writeln!(out, "{}", figures::table(&self.subject.engine, modes))?;
        for departure in departures {
            writeln!(out, "not as docs/concurrency.md says: {departure}")?;
        }
        Ok(())
    }
}

/// What each of them reported; of one that did not, why.
fn reports(done: Vec<Result<Said, String>>, ready: Vec<Result<Said, String>>) -> Vec<Result<Report, String>> {
    let report = |(done, ready)| match (done, ready) {
        (Ok(Said::Done(report)), _) => Ok(*report),
        (_, Ok(Said::Failed(text))) | (Ok(Said::Failed(text)), _) | (Err(text), _) => Err(text),
        (Ok(other), _) => Err(format!("it said something else: {other:?}")),
    };
    done.into_iter().zip(ready).map(report).collect()
}

fn at(bar: &ProgressBar, elapsed: Duration) {
    bar.set_position(millis(elapsed));
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
