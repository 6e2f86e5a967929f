//! The command lines of `dbmux who` and `dbmux wait`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::duration;

pub(super) const WHO_EXAMPLES: &str = "Examples:
  dbmux who sales.duckdb              who has the file, and who waits for it
  dbmux who --dbt                     who runs dbt in the project of this directory
  dbmux who --dbt shop --explain      and why each process is taken for dbt, or not
  dbmux who --dbt --check             for scripts: exits 75 while a dbt runs, else 0";

pub(super) const WAIT_EXAMPLES: &str = "Examples:
  dbmux wait --dbt                    until no dbt runs in the project of this directory
  dbmux wait --dbt shop --wait 5m     for at most 5 minutes: exits 75 when one still runs

It waits for dbt that was started in any way, and runs nothing. `dbmux dbt` waits by itself.";

#[derive(Debug, Args)]
pub(crate) struct WhoArgs {
    /// The database file.
    #[arg(required_unless_present = "dbt", conflicts_with_all = ["dbt", "explain", "check"])]
    pub(crate) database: Option<PathBuf>,
    /// Shows who runs dbt in a project: the one of this directory, or of the nearest above it.
    #[arg(long, value_name = "PROJECT", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "without it, without a value, with one")]
    pub(crate) dbt: Option<Option<PathBuf>>,
    /// Shows the evidence too, and what only looks like dbt.
    #[arg(long, requires = "dbt")]
    pub(crate) explain: bool,
    /// Exits 75 while a dbt runs that another one must wait for, else 0.
    #[arg(long, requires = "dbt")]
    pub(crate) check: bool,
    /// One JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Until no dbt runs in a project: the one of this directory, or of the nearest above it.
    #[arg(long, value_name = "PROJECT", num_args = 0..=1, required = true)]
    #[expect(clippy::option_option, reason = "without it, without a value, with one")]
    pub(crate) dbt: Option<Option<PathBuf>>,
    /// How long to wait: 500ms, 30s, 2m; 0 only looks.
    #[arg(long, env = "DBMUX_WAIT", default_value = "10s", value_parser = duration, value_name = "DURATION")]
    pub(crate) wait: Duration,
    /// One JSON object; errors as one on standard error.
    #[arg(long)]
    pub(crate) json: bool,
}
