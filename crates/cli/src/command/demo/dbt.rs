//! `dbmux demo dbt`: eight dbt runs at once on one DuckDB file: plain, through dbmux one after the other, and merged.
//!
//! The project is made here; dbt is the one that is installed. The plain runs' errors are shown, each once.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use comfy_table::{Table, presets};
use dbmux_dbt::Interpreter;
use serde_json::{Value, json};

use crate::{args::DemoArgs, exit::Exit, failure::Failure, render};

/// dbt runs at once.
const RUNS: usize = 8;

/// How long a run of dbmux may wait for its turn.
const WAIT: &str = "5m";

const PROJECT: &str = "name: demo
profile: demo
models: {demo: {+materialized: table}}
flags: {send_anonymous_usage_stats: false}
";

const PROFILES: &str = "demo:
  target: dev
  outputs:
    dev: {type: duckdb, path: demo.duckdb, threads: 4}
";

/// One way to run all of them.
struct Way {
    name: &'static str,
    took: Duration,
    succeeded: usize,
    tables: u64,
    /// What was complained of, and how often.
    errors: BTreeMap<String, usize>,
}

/// Runs them each way, and shows what came of it.
pub(super) fn run(args: &DemoArgs) -> Result<Exit, Failure> {
    let directory = tempfile::Builder::new().prefix("dbmux-demo-").tempdir()?;
    let here = std::env::current_dir()?;
    let interpreter = Interpreter::find(None, &here, &std::env::vars_os().collect())?;
    let demo = Demo { place: directory.path().to_owned(), dbt: interpreter.script };
    let ways = demo.ways();
    if args.keep {
        render::note(&format!("the demo's files are kept in {}", directory.keep().display()));
    }
    let ways = ways?;
    let mut out = render::report_output();
    if args.json {
        let all: Vec<Value> = ways.iter().map(Way::for_program).collect();
        writeln!(out, "{}", json!({ "runs": RUNS, "ways": all }))?;
    } else {
        writeln!(out, "{}", table(&ways))?;
    }
    let perfect = ways.iter().skip(1).all(|way| way.succeeded == RUNS && way.tables == RUNS as u64);
    Ok(if perfect { Exit::Done } else { Exit::Failed })
}

struct Demo {
    place: PathBuf,
    dbt: PathBuf,
}

impl Demo {
    fn ways(&self) -> Result<Vec<Way>, Failure> {
        let dbmux = std::env::current_exe()?;
        let through = |more: &'static [&'static str]| {
            let (dbmux, dbt) = (dbmux.clone(), self.dbt.clone());
            move |model: &str| {
                let mut command = Command::new(&dbmux);
                command.args(["dbt", "--wait", WAIT, "--dbt"]).arg(&dbt).args(more).args(["run", "--select", model]);
                // Its runner does not outlive the demo for long.
                command.env("DBMUX_IDLE_EXIT", "2s");
                command
            }
        };
        let plain = |model: &str| {
            let mut command = Command::new(&self.dbt);
            command.args(["run", "--select", model]);
            command
        };
        Ok(vec![
            self.way("plain dbt, all at once", &plain)?,
            self.way("dbmux dbt, one after the other", &through(&["--sequential"]))?,
            self.way("dbmux dbt, merged", &through(&[]))?,
        ])
    }

    fn way(&self, name: &'static str, command: &dyn Fn(&str) -> Command) -> Result<Way, Failure> {
        render::note(&format!("{RUNS} runs at once: {name} …"));
        let project = self.project(name)?;
        let began = Instant::now();
        let mut runs = Vec::with_capacity(RUNS);
        for number in 1..=RUNS {
            let output = project.join(format!("output-{number}"));
            let mut command = command(&format!("m_{number}"));
            command.current_dir(&project).stdin(Stdio::null());
            let text = std::fs::File::create(&output)?;
            command.stdout(text.try_clone()?).stderr(text);
            runs.push((command.spawn().map_err(|error| Failure::system(error.to_string()))?, output));
        }
        let (mut succeeded, mut errors) = (0, BTreeMap::new());
        for (mut run, output) in runs {
            if wait(&mut run)? {
                succeeded += 1;
            } else {
                let said = std::fs::read_to_string(output).unwrap_or_default();
                *errors.entry(complaint(&said, &project)).or_default() += 1;
            }
        }
        let took = began.elapsed();
        Ok(Way { name, took, succeeded, tables: tables(&project)?, errors })
    }

    /// A project of its own for each way: nothing is there yet.
    fn project(&self, name: &str) -> Result<PathBuf, Failure> {
        let project = self.place.join(name.replace([' ', ','], "-"));
        std::fs::create_dir_all(project.join("models"))?;
        std::fs::write(project.join("dbt_project.yml"), PROJECT)?;
        std::fs::write(project.join("profiles.yml"), PROFILES)?;
        for number in 1..=RUNS {
            let sql = format!("select range as id, hash(range + {number}) as value from range(100000)\n");
            std::fs::write(project.join(format!("models/m_{number}.sql")), sql)?;
        }
        Ok(project)
    }
}

fn wait(run: &mut Child) -> Result<bool, Failure> {
    Ok(run.wait()?.success())
}

/// The line of what it said that tells most.
fn complaint(said: &str, project: &Path) -> String {
    let telling = |line: &&str| line.contains("Error") || line.starts_with("error:") || line.contains("lock");
    let line = said.lines().find(|line| line.contains("lock")).or_else(|| said.lines().find(telling));
    let line = line.unwrap_or("it said nothing").trim().replace(&format!("{}/", project.display()), "");
    // The process's number differs from run to run.
    let cut = line.find(" (PID").or_else(|| line.find(". See also")).unwrap_or(line.len());
    line.get(..cut).unwrap_or(&line).to_owned()
}

/// How many of the models' tables there are.
fn tables(project: &Path) -> Result<u64, Failure> {
    let database = project.join("demo.duckdb");
    if !database.exists() {
        return Ok(0);
    }
    let client = dbmux_client::blocking::Client::open(&database, super::options())?;
    let counted = client.session().and_then(|session| {
        let sql = "SELECT table_name FROM information_schema.tables WHERE table_name LIKE 'm\\_%' ESCAPE '\\'";
        let mut answer = session.query(sql)?;
        let mut rows = 0;
        while let Some(batch) = answer.next_batch()? {
            rows += batch.num_rows() as u64;
        }
        Ok(rows)
    });
    // Its file is about to be deleted.
    let stopped = client.stop(Duration::from_secs(5));
    let counted = counted?;
    stopped?;
    Ok(counted)
}

impl Way {
    fn for_program(&self) -> Value {
        json!({
            "way": self.name,
            "took_s": self.took.as_secs_f64(),
            "succeeded": self.succeeded,
            "failed": RUNS - self.succeeded,
            "tables": self.tables,
            "errors": self.errors,
        })
    }
}

fn table(ways: &[Way]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).force_no_tty();
    table.set_header(["eight dbt runs at once", "time", "succeeded", "failed", "tables"]);
    for way in ways {
        table.add_row([
            way.name.to_owned(),
            format!("{:.1} s", way.took.as_secs_f64()),
            way.succeeded.to_string(),
            (RUNS - way.succeeded).to_string(),
            way.tables.to_string(),
        ]);
    }
    let mut text = table.to_string();
    for way in ways {
        for (error, count) in &way.errors {
            text.push_str(&format!("\n{count} × {}: {error}", way.name));
        }
    }
    text
}
