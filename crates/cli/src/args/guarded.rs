//! The command lines of what runs a command under a lock or a lease: `dbmux lock`, `dbmux run`.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, ValueEnum};

use super::Waiting;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeArg {
    /// The sidecar of a database file.
    Database,
    /// The nearest project above this directory: one with a .dbmux, .git or dbt_project.yml.
    Project,
    /// This user, on this machine.
    Global,
}

#[derive(Debug, Args)]
pub(crate) struct LockArgs {
    /// A name, or the path of a database file: what has a slash, or is called as databases are (.duckdb, .db, …).
    #[arg(value_name = "NAME|PATH")]
    pub(crate) name: OsString,
    /// Beside others who share it.
    #[arg(long)]
    pub(crate) shared: bool,
    /// What the name covers. Default: database for a path, else global.
    #[arg(long)]
    pub(crate) scope: Option<ScopeArg>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    /// What is shown as JSON; errors as one JSON object on standard error.
    #[arg(long)]
    pub(crate) json: bool,
    /// The command, with its arguments. Without one, who has the lock and who waits for it is shown.
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadsArg {
    /// From a snapshot, where there can be one.
    Snapshot,
    /// They wait.
    Wait,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The database files; they need not exist yet.
    #[arg(required = true, value_name = "DB")]
    pub(crate) databases: Vec<PathBuf>,
    /// What becomes of others' reads while the command has the files.
    #[arg(long, default_value = "snapshot", value_name = "HOW")]
    pub(crate) reads: ReadsArg,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    /// Errors as one JSON object on standard error.
    #[arg(long)]
    pub(crate) json: bool,
    /// The command, with its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}
