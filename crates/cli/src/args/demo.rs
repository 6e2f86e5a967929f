//! The command line of `dbmux demo`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DemoOf {
    /// Eight processes that read and write one database.
    Database,
    /// Eight dbt runs at once.
    Dbt,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// What to see: processes on one database, or runs of dbt, which must be installed.
    #[arg(default_value = "database")]
    pub(crate) what: DemoOf,
    /// How long each half of the database demo runs.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Keeps the demo's database, and says where it is.
    #[arg(long)]
    pub(crate) keep: bool,
    /// The figures as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoWorkerArgs {
    pub(crate) database: PathBuf,
    #[arg(long)]
    pub(crate) writes: bool,
    #[arg(long)]
    pub(crate) plain: bool,
    #[arg(long)]
    pub(crate) worker: u32,
    #[arg(long)]
    pub(crate) millis: u64,
}
