//! The command line of `dbmux probe`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, value_parser};

use super::duration;

pub(super) const EXAMPLES: &str = "Examples:
  dbmux probe duckdb                        what DuckDB allows by itself, and with dbmux
  dbmux probe sqlite --writers 4            four processes that write at once
  dbmux probe notes.sqlite --duration 30s   on a copy of your own database
  dbmux probe duckdb --check                exits 1 when an engine does not do what is known of it

Processes are started, with one connection each, on tables of files and of chunks with embeddings.
Writers embed rows anew and insert others; readers search by vector, and count the rows that are
new. Then the rows are looked at: whether all that was acknowledged is there, once.

direct: each process opens the database by the engine's own library, without dbmux; readers ask for
reading only. SQLite is in WAL mode, syncs each commit (synchronous=FULL), and waits 5 s for others
(busy_timeout), as Python's does. A process that cannot open it goes on trying, and counts as
crashed if it never can.
dbmux: each process is a client.

Your own database is not touched: a copy is probed, in the temporary directory, with the tables
dbmux_probe_files and dbmux_probe_chunks beside yours. A database called as an engine: ./duckdb.";

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// An engine (duckdb, sqlite, …), of which a fresh database is probed; or a database, of which a copy is.
    #[arg(value_name = "ENGINE|PATH")]
    pub(crate) what: PathBuf,
    /// Rows that are there when it begins.
    #[arg(long, default_value_t = 5000, value_parser = value_parser!(u32).range(10..=1_000_000))]
    pub(crate) rows: u32,
    /// Numbers in an embedding.
    #[arg(long, default_value_t = 128, value_parser = value_parser!(u16).range(1..=4096))]
    pub(crate) dims: u16,
    /// Processes that read.
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u16).range(0..=64))]
    pub(crate) readers: u16,
    /// Processes that write.
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u16).range(0..=64))]
    pub(crate) writers: u16,
    /// How long each mode runs: 500ms, 30s, 2m.
    #[arg(long, default_value = "10s", value_parser = bounded, value_name = "DURATION")]
    pub(crate) duration: Duration,
    /// With the engine alone, through dbmux, or one after the other.
    #[arg(long, default_value = "both")]
    pub(crate) mode: ModeArg,
    /// The figures as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// Exits 1 when the engine does not do what docs/concurrency.md says of it.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    /// Each process opens the database by itself.
    Direct,
    /// Each process is a client of dbmux.
    Dbmux,
    /// Direct, then dbmux.
    Both,
}

#[derive(Debug, Args)]
pub(crate) struct ProbeWorkerArgs {
    /// What to do, as JSON.
    pub(crate) job: String,
}

fn bounded(text: &str) -> Result<Duration, String> {
    let allowed = Duration::from_millis(100)..=Duration::from_secs(600);
    duration(text).and_then(|wish| {
        let fits = allowed.contains(&wish);
        if fits { Ok(wish) } else { Err("it is from 100ms to 10m".to_owned()) }
    })
}
