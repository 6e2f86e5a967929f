//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, builder::Resettable};
use clap_complete::Shell;

mod dbt;
mod demo;
mod examples;
mod guarded;
mod mcp;
mod memory;
#[cfg(feature = "broker")]
mod probe;
mod shim;
mod snapshot;
mod values;
pub(crate) mod vectors;
mod who;

pub(crate) use dbt::{DbtArgs, DbtCommandArg, DbtOptions, DbtRunnerArgs, DbtScopeArg, PlanArgs};
pub(crate) use demo::{DemoArgs, DemoOf, DemoWorkerArgs};
use examples::{EXAMPLES, LOCK_EXAMPLES, RUN_EXAMPLES, SQL_EXAMPLES};
pub(crate) use guarded::{LockArgs, ReadsArg, RunArgs, ScopeArg};
pub(crate) use mcp::{EmbeddingArgs, InstallArgs, McpArgs, McpCommand, McpOffer, ProgramArg};
pub(crate) use memory::{Among, MemoryArgs, MemoryCommand, SearchModeArg};
#[cfg(feature = "broker")]
pub(crate) use probe::{ModeArg, ProbeArgs, ProbeWorkerArgs};
pub(crate) use shim::{Shim, ShimArgs, ShimCommand, ShimListArgs, ShimPlace};
#[cfg(feature = "broker")]
use snapshot::size;
pub(crate) use snapshot::{CopyArgs, SnapshotArgs};
#[cfg(feature = "broker")]
pub(crate) use values::Workers;
pub(crate) use values::duration;
use values::storage_version;
#[cfg(feature = "broker")]
use values::{count, memory_limit, workers};
use vectors::VectorsArgs;
pub(crate) use who::{WaitArgs, WhoArgs};

/// Many processes, one database file.
///
/// DuckDB wants one process to own a file. dbmux gives it one that starts itself, and lets everybody else read and write
/// through it at once.
#[derive(Debug, Parser)]
#[command(name = "dbmux", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// Reads the command line, and the variables that stand for flags.
    ///
    /// SQL may begin with a comment, which looks like a flag. It has blanks in it, and a flag has none: one that is
    /// misspelt stays an error.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let command = without_empty_variables(Self::command());
        let arguments = dbt::ours_first(std::env::args_os().collect());
        let strict = of(command.clone().try_get_matches_from(&arguments));
        let Err(error) = strict else { return strict };
        let lenient = command.mut_subcommand("sql", |sql| sql.mut_arg("sql", |text| text.allow_hyphen_values(true)));
        match of(lenient.try_get_matches_from(&arguments)) {
            Ok(read) if read.has_commented_sql() => Ok(read),
            _ => Err(error),
        }
    }

    fn has_commented_sql(&self) -> bool {
        let Command::Sql(args) = &self.command else { return false };
        args.sql.as_deref().is_some_and(|sql| sql.starts_with('-') && sql.contains(char::is_whitespace))
    }

    /// Whether errors are for a program to read.
    pub(crate) fn wants_json(&self) -> bool {
        match &self.command {
            Command::Sql(args) => args.json,
            Command::Vectors(args) => args.json,
            Command::Who(args) => args.json,
            Command::Wait(args) => args.json,
            Command::Status(args) => args.json,
            Command::Stats(args) => args.json,
            Command::Stop(args) => args.json,
            Command::Lock(args) => args.json,
            Command::Dbt(args) => match &args.plan {
                Some(DbtCommandArg::Plan(plan)) => plan.options.json,
                None => args.options.json,
            },
            Command::Run(args) => args.json,
            Command::Memory(args) => args.json,
            Command::Shim(ShimCommand::List(args)) => args.json,
            Command::Snapshot(args) => args.json,
            Command::Demo(args) => args.json,
            Command::Environment { json } => *json,
            #[cfg(feature = "broker")]
            Command::Serve(args) => args.json,
            #[cfg(feature = "broker")]
            Command::Probe(args) => args.json,
            _ => false,
        }
    }
}

fn of(matches: Result<clap::ArgMatches, clap::Error>) -> Result<Arguments, clap::Error> {
    matches.and_then(|matches| Arguments::from_arg_matches(&matches))
}

/// A variable that is empty is as one that is not set.
pub(crate) fn without_empty_variables(command: clap::Command) -> clap::Command {
    let empty = |arg: &clap::Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let read = |arg: clap::Arg| if empty(&arg) { arg.env(Resettable::Reset) } else { arg };
    command.mut_args(read).mut_subcommands(without_empty_variables)
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// When to use colours.
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run SQL; without SQL, an interactive prompt, or the statements of standard input as they arrive.
    #[command(after_help = SQL_EXAMPLES)]
    Sql(SqlArgs),
    /// Search and change the tables of a LanceDB database.
    #[command(after_help = vectors::EXAMPLES)]
    Vectors(VectorsArgs),
    /// Show who has the file, or runs dbt in a project, who waits, and what to do. Starts nothing, opens nothing.
    #[command(after_help = who::WHO_EXAMPLES)]
    Who(WhoArgs),
    /// Wait until no dbt runs in a project. Runs nothing.
    #[command(after_help = who::WAIT_EXAMPLES)]
    Wait(WaitArgs),
    /// Show what the broker is doing: owner, sessions, statements, queue. Starts nothing.
    Status(StatusArgs),
    /// Show what the broker and the file's locks have done. Starts nothing.
    Stats(StatsArgs),
    /// Ask the broker to finish what runs, and to end.
    Stop(StopArgs),
    /// Serve a database in the foreground, for a service manager.
    #[cfg(feature = "broker")]
    Serve(ServeArgs),
    /// Run a command under a fair lock that other dbmux processes see. Starts no broker.
    #[command(after_help = LOCK_EXAMPLES)]
    Lock(LockArgs),
    /// Run dbt while everybody else is connected.
    #[command(after_help = dbt::EXAMPLES)]
    Dbt(Box<DbtArgs>),
    /// Run a command that opens database files itself, dbt or a script: they are handed over to it. Starts no broker.
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Serve agents by the Model Context Protocol, or have their program start it.
    #[command(after_help = mcp::EXAMPLES)]
    Mcp(Box<McpArgs>),
    /// Store, search and keep the memories that agents share.
    #[command(after_help = memory::EXAMPLES)]
    Memory(Box<MemoryArgs>),
    /// Programs of others' names that call dbmux: a `dbt` that is `dbmux dbt`.
    #[command(subcommand, after_help = shim::EXAMPLES)]
    Shim(ShimCommand),
    /// Copy a database, consistent while others write to it, into a file for keeping.
    Snapshot(SnapshotArgs),
    /// See what it is good for: eight processes on one file, without dbmux and with it.
    Demo(DemoArgs),
    /// See what an engine allows to many processes by itself, and what they can do through dbmux.
    #[cfg(feature = "broker")]
    #[command(after_help = probe::EXAMPLES)]
    Probe(ProbeArgs),
    /// Print a completion script.
    Completions {
        /// For which shell.
        shell: Shell,
    },
    /// Show every environment variable that dbmux reads.
    Environment {
        /// One JSON array.
        #[arg(long)]
        json: bool,
    },
    /// The daemon. Started by clients.
    #[cfg(feature = "broker")]
    #[command(hide = true)]
    Broker(BrokerArgs),
    /// A project's daemon. Started by `dbmux dbt`.
    #[command(hide = true)]
    DbtRunner(DbtRunnerArgs),
    /// Copies a database file for its broker.
    #[command(hide = true)]
    SnapshotCopy(CopyArgs),
    /// One of the demo's processes.
    #[command(hide = true)]
    DemoWorker(DemoWorkerArgs),
    /// One of the probe's processes.
    #[cfg(feature = "broker")]
    #[command(hide = true)]
    ProbeWorker(ProbeWorkerArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// The database file; it is made where there is none.
    pub(crate) database: PathBuf,
    /// The statements.
    #[arg(conflicts_with = "file")]
    pub(crate) sql: Option<String>,
    /// Reads the statements from a file.
    #[arg(short, long)]
    pub(crate) file: Option<PathBuf>,
    /// A parameter: VALUE for the next of $1, $2, …, or NAME=VALUE for $NAME. Numbers, true, false and null are taken as
    /// such; anything else, and whatever stands in '…', is text.
    #[arg(short, long = "param", value_name = "[NAME=]VALUE")]
    pub(crate) params: Vec<String>,
    /// How results are shown. Default: table on a terminal, csv elsewhere.
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// Refuses whatever writes.
    #[arg(long)]
    pub(crate) read_only: bool,
    /// What reads get while another process has the file by `dbmux run` or `dbmux dbt`.
    #[arg(long, default_value = "snapshot", value_name = "HOW")]
    pub(crate) reads: ReadsArg,
    /// Rows that a table shows; 0: all. Default: 1000 on a terminal, all elsewhere.
    #[arg(long, value_name = "ROWS")]
    pub(crate) max_rows: Option<usize>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    /// What must be the engine of the file, or become it: by default a file is what it is, and a new one what its name says
    /// (.sqlite and .sqlite3: SQLite; .lance and .lancedb: LanceDB; others DuckDB).
    #[arg(long, value_name = "ENGINE")]
    pub(crate) engine: Option<EngineArg>,
    /// The storage version of a file that is made, as DuckDB names it: v1.0.0, latest, …
    #[arg(long, value_parser = storage_version, value_name = "VERSION")]
    pub(crate) storage_version: Option<String>,
    /// Errors as one JSON object on standard error, results as --format json.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What serves a database file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineArg {
    /// DuckDB.
    Duckdb,
    /// SQLite.
    Sqlite,
    /// LanceDB: a directory of tables.
    Lance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// Comma-separated values with a header.
    Csv,
    /// One array of objects.
    Json,
    /// One object a line.
    Jsonl,
    /// An Arrow IPC stream.
    Arrow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PriorityArg {
    High,
    Normal,
    Low,
}

/// How long, and how urgently.
#[derive(Debug, Args)]
pub(crate) struct Waiting {
    /// How long to wait for others: 500ms, 30s, 2m; 0 never waits.
    #[arg(long, env = "DBMUX_WAIT", default_value = "30s", value_parser = duration, value_name = "DURATION")]
    pub(crate) wait: Duration,
    /// Who goes first among those who wait; overtaking is bounded.
    #[arg(long, env = "DBMUX_PRIORITY", default_value = "normal")]
    pub(crate) priority: PriorityArg,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The database file; without it, every broker of yours.
    pub(crate) database: Option<PathBuf>,
    /// One JSON object; without a database, an array of them.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// The database file; without it, every broker of yours.
    pub(crate) database: Option<PathBuf>,
    /// One JSON object; without a database, an array of them.
    #[arg(long)]
    pub(crate) json: bool,
    /// The locks' figures of all together, a line each, as agents are told them.
    #[arg(long, conflicts_with = "json")]
    pub(crate) text: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// The database file; without it, every broker of yours ends.
    pub(crate) database: Option<PathBuf>,
    /// How long running statements may take.
    #[arg(long, env = "DBMUX_WAIT", default_value = "30s", value_parser = duration, value_name = "DURATION")]
    pub(crate) wait: Duration,
    /// One JSON object; without a database, an array of them.
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(feature = "broker")]
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The database file; it is made where there is none.
    pub(crate) database: PathBuf,
    #[command(flatten)]
    pub(crate) options: BrokerOptionArgs,
    /// Where it listens, as one JSON object, as soon as it does; errors as one on standard error.
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(feature = "broker")]
#[derive(Debug, Args)]
pub(crate) struct BrokerArgs {
    #[arg(long)]
    pub(crate) database: PathBuf,
    #[command(flatten)]
    pub(crate) options: BrokerOptionArgs,
}

#[cfg(feature = "broker")]
/// How a broker behaves. Every one of these can stand in the environment too.
#[derive(Debug, Clone, Args)]
pub(crate) struct BrokerOptionArgs {
    /// The engine, where the file is not there yet and its name does not tell: DuckDB. A file that is there is what it is.
    #[arg(long, value_name = "ENGINE")]
    pub(crate) engine: Option<EngineArg>,
    /// How long to wait for the owner lock.
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "DURATION")]
    pub(crate) start_wait: Duration,
    /// How long the file stays attached with nothing to do.
    #[arg(long, env = "DBMUX_RELEASE_AFTER", default_value = "1s", value_parser = duration, value_name = "DURATION")]
    pub(crate) release_after: Duration,
    /// How long the broker stays without sessions.
    #[arg(long, env = "DBMUX_IDLE_EXIT", default_value = "10m", value_parser = duration, value_name = "DURATION")]
    pub(crate) idle_exit: Duration,
    /// How long a transaction may be idle, or a result unread, while others wait for it.
    #[arg(long, env = "DBMUX_IDLE_TRANSACTION", default_value = "30s", value_parser = duration, value_name = "DURATION")]
    pub(crate) idle_transaction: Duration,
    /// How long running statements may take when the broker leaves.
    #[arg(long, env = "DBMUX_DRAIN", default_value = "30s", value_parser = duration, value_name = "DURATION")]
    pub(crate) drain: Duration,
    /// Statements that run side by side.
    #[arg(long, env = "DBMUX_WORKERS", default_value = "4..16", value_parser = workers, value_name = "MIN..MAX")]
    pub(crate) workers: Workers,
    /// One statement at a time, to debug.
    #[arg(long, env = "DBMUX_SERIAL")]
    pub(crate) serial: bool,
    /// Statements that may wait.
    #[arg(long, env = "DBMUX_QUEUE", default_value = "1000", value_parser = count::<0, 1_000_000>)]
    pub(crate) queue: usize,
    /// Statements of one session that may run or wait.
    #[arg(long, env = "DBMUX_MAX_INFLIGHT", default_value = "64", value_parser = count::<1, 1_000_000>)]
    pub(crate) max_inflight: usize,
    /// The largest file that is copied to answer reads while a lease is out, where the file system cannot share its blocks:
    /// 2GiB, none.
    #[arg(long, env = "DBMUX_SNAPSHOT_LIMIT", default_value = "2GiB", value_parser = size, value_name = "SIZE")]
    pub(crate) snapshot_limit: u64,
    /// The storage version of a file that is made.
    #[arg(long, env = "DBMUX_STORAGE_VERSION", value_parser = storage_version, value_name = "VERSION")]
    pub(crate) storage_version: Option<String>,
    /// The engine's memory limit, as DuckDB takes it: 4GB, 80%. Default: half of the machine.
    #[arg(long, env = "DBMUX_MEMORY_LIMIT", value_parser = memory_limit, value_name = "SIZE")]
    pub(crate) memory_limit: Option<String>,
    /// The engine's threads. Default: all cores; of more than four, all but one.
    #[arg(long, env = "DBMUX_THREADS", value_parser = count::<1, 1024>)]
    pub(crate) threads: Option<usize>,
    /// Let DuckDB download the extensions that statements need. Without it a missing one is named, at once.
    #[arg(long, env = "DBMUX_INSTALL_EXTENSIONS")]
    pub(crate) install_extensions: bool,
}
