//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

/// A small analytics tool: remote data in a local DuckDB file, which any number of commands use at once.
#[derive(Debug, Parser)]
#[command(name = "mp", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The database file.
    #[arg(long, global = true, env = "MP_DB", default_value = "mp.duckdb", value_name = "FILE")]
    pub(crate) db: PathBuf,
    /// How long the simulated remote service takes.
    #[arg(long, global = true, default_value_t = 25.0, value_parser = seconds, value_name = "N")]
    pub(crate) seconds: f64,
    /// How long to wait for whoever has the file without dbmux: 500ms, 30s, 2m.
    #[arg(long, global = true, default_value = "30s", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub(crate) wait: Duration,
    /// Results and errors as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Common {
    /// How long the remote service takes.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Look at what is there.
    #[command(subcommand)]
    Inspect(Inspect),
    /// Ask a question of your own.
    #[command(subcommand)]
    Query(Query),
    /// Get data from the remote service into the database.
    #[command(subcommand)]
    Fetch(Fetch),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Inspect {
    /// The reports that were saved at the remote service. Needs no database, and touches none.
    Bookmarks,
    #[command(flatten)]
    Data(Data),
}

/// What is in the database.
#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// The tables, with their sizes.
    Tables,
    /// The columns of a table.
    Schema { table: String },
    /// Some rows of a table.
    Sample {
        table: String,
        /// How many.
        #[arg(long, default_value_t = 10)]
        rows: u32,
    },
    /// Minimum, maximum, quartiles, … of each column.
    Describe { table: String },
    /// What stands in one column: how many values, and which are the most frequent.
    Column { table: String, column: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Query {
    /// One read-only SQL statement.
    Sql { sql: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Fetch {
    /// Events, page by page; each page is in the file when the progress bar has it.
    Events {
        /// Into which table; it is made where there is none.
        #[arg(default_value = "events")]
        table: String,
    },
}

/// A time that can be waited.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    let fits = (0.0..=86_400.0).contains(&seconds);
    if fits { Ok(seconds) } else { Err("it takes 0 to 86400 seconds".to_owned()) }
}
