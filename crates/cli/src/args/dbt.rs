//! The command line of `dbmux dbt`: ours, and what is dbt's.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

use super::{PriorityArg, duration};

pub(super) const EXAMPLES: &str = "Examples:
  dbmux dbt build                         as `dbt build`, while everybody else is connected
  dbmux dbt run --select orders --wait 2m
  dbmux dbt --project-dir shop test
  dbmux dbt plan years.toml               many steps, merged or in order
  dbmux who --dbt                         who runs dbt here

One dbt runs in a project at a time; requests of a kind that wait are merged into one invocation, each
with its own results and exit code. dbt stays imported for the next request. While dbt has the
database, others read from a snapshot, and writes wait.

Options of dbmux may stand anywhere; everything else is dbt's. `dbmux dbt run --help` is dbt's help.";

/// What clap takes for ours wherever it stands: what has a value, and what has none. None of them is an option of dbt.
const WITH_VALUE: [&str; 5] = ["--wait", "--priority", "--scope", "--dbt", "--color"];
const FLAGS: [&str; 4] = ["--cold", "--sequential", "--force-sequential", "--json"];

#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub(crate) struct DbtArgs {
    #[command(flatten)]
    pub(crate) options: DbtOptions,
    /// Runs dbt in a new process, at the terminal, merged with nothing.
    #[arg(long)]
    pub(crate) cold: bool,
    #[command(subcommand)]
    pub(crate) plan: Option<DbtCommandArg>,
    /// What follows `dbt`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub(crate) args: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DbtOptions {
    /// How long to wait for others: 500ms, 30s, 2m; 0 never waits.
    #[arg(long, env = "DBMUX_WAIT", default_value = "10s", value_parser = duration, value_name = "DURATION")]
    pub(crate) wait: Duration,
    /// Who goes first among those who wait. Default: high for parse, ls and show; low for --full-refresh; else normal.
    #[arg(long, env = "DBMUX_PRIORITY")]
    pub(crate) priority: Option<PriorityArg>,
    /// Whom it excludes.
    #[arg(long, default_value = "project")]
    pub(crate) scope: DbtScopeArg,
    /// Merges nothing, to debug.
    #[arg(long, alias = "force-sequential")]
    pub(crate) sequential: bool,
    /// The dbt program. Default: the active virtual environment's, else uv's, else the first in PATH.
    #[arg(long, env = "DBMUX_DBT", value_name = "PATH")]
    pub(crate) dbt: Option<PathBuf>,
    /// Errors as one JSON object on standard error.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DbtScopeArg {
    /// Other dbt commands in this project.
    Project,
    /// All of this user's that are global too, and those in this project.
    Global,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DbtCommandArg {
    /// Run a file of steps, merged, side by side or in order, as what they need allows.
    Plan(PlanArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The plan, in TOML.
    pub(crate) file: PathBuf,
    /// Shows what would run, in which order, and runs nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Skips steps whose command, variables, files and inputs are unchanged since they were done.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Repeats steps for other values: year=2024..2033, year=2024,2026.
    #[arg(long = "set", value_name = "NAME=VALUES")]
    pub(crate) set: Vec<String>,
    /// Scenarios that run side by side. Default: by cores and memory.
    #[arg(long, value_name = "N")]
    pub(crate) parallel: Option<usize>,
    /// Threads that each step gets, in place of the plan's.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<u32>,
    #[command(flatten)]
    pub(crate) options: DbtOptions,
}

#[derive(Debug, Args)]
pub(crate) struct DbtRunnerArgs {
    /// The project's directory.
    #[arg(long)]
    pub(crate) project: PathBuf,
    /// How long it stays with nothing to do.
    #[arg(long, env = "DBMUX_IDLE_EXIT", default_value = "10m", value_parser = duration, value_name = "DURATION")]
    pub(crate) idle_exit: Duration,
}

/// `dbmux dbt run --wait 2m` is `dbmux dbt --wait 2m run`: our options come first, as clap wants them.
pub(super) fn ours_first(arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.get(1).is_none_or(|command| command != "dbt") {
        return arguments;
    }
    let mut rest = arguments.into_iter();
    let mut ours: Vec<OsString> = rest.by_ref().take(2).collect();
    let mut theirs = Vec::new();
    while let Some(argument) = rest.next() {
        let text = argument.to_string_lossy();
        let name = text.split_once('=').map_or(&*text, |(name, _)| name);
        let (valued, flag) = (WITH_VALUE.contains(&name), FLAGS.contains(&&*text));
        let separate = valued && !text.contains('=');
        if text == "--" {
            theirs.push(argument);
            theirs.extend(rest.by_ref());
        } else if valued || flag {
            ours.push(argument);
            ours.extend(rest.by_ref().take(usize::from(separate)));
        } else {
            theirs.push(argument);
        }
    }
    // A plan's options are read by its own command.
    let at = if theirs.first().is_some_and(|first| first == "plan") { 1 } else { 0 };
    let mut plan: Vec<OsString> = theirs.drain(..at).collect();
    let tail = ours.split_off(2);
    ours.append(&mut plan);
    ours.extend(tail);
    ours.extend(theirs);
    ours
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(text: &str) -> String {
        let all = ours_first(text.split(' ').map(OsString::from).collect());
        all.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn our_options_may_stand_anywhere() {
        for (given, read) in [
            ("dbmux dbt run --wait 2m -s a --cold", "dbmux dbt --wait 2m --cold run -s a"),
            ("dbmux dbt run --wait=2m --vars {}", "dbmux dbt --wait=2m run --vars {}"),
            ("dbmux dbt run -- --wait 1s", "dbmux dbt run -- --wait 1s"),
            (
                "dbmux dbt --json plan f.toml --sequential --dry-run",
                "dbmux dbt plan --json --sequential f.toml --dry-run",
            ),
            ("dbmux sql a.duckdb --wait 1s", "dbmux sql a.duckdb --wait 1s"),
        ] {
            assert_eq!(moved(given), read, "{given}");
        }
    }
}
