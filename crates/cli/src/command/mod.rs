//! One command, one file.

mod completions;
mod dbt;
mod demo;
mod environment;
mod find;
mod guarded;
mod lock;
mod mcp;
mod memory;
mod run;
mod shim;
mod snapshot;
mod snapshot_copy;
mod sql;
mod stats;
mod status;
mod stop;
mod vectors;
mod who;

#[cfg(feature = "broker")]
pub(crate) mod broker;
#[cfg(feature = "broker")]
mod probe;
#[cfg(feature = "broker")]
mod serve;

use std::future::Future;

use dbmux_client::{Client, ClientOptions, Priority};

use crate::{
    args::{Arguments, Command, PriorityArg},
    exit::Exit,
    failure::Failure,
};

/// Runs the command.
pub(crate) fn run(arguments: Arguments) -> Result<Exit, Failure> {
    #[cfg(feature = "broker")]
    if matches!(
        arguments.command,
        Command::Sql(_)
            | Command::Vectors(_)
            | Command::Snapshot(_)
            | Command::Demo(_)
            | Command::DemoWorker(_)
            | Command::Probe(_)
            | Command::Mcp(_)
            | Command::Memory(_)
    ) {
        crate::usage::check_broker_environment()?;
    }
    match arguments.command {
        Command::Sql(args) => sql::run(args),
        Command::Vectors(args) => vectors::run(&args),
        Command::Who(args) => match (&args.dbt, &args.database) {
            (None, Some(database)) => who::run(database, args.json),
            (project, _) => find::who(&args, project.as_ref().and_then(Option::as_deref)),
        },
        Command::Wait(args) => find::wait(&args),
        Command::Status(args) => status::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Stop(args) => stop::run(&args),
        Command::Lock(args) => lock::run(args),
        Command::Dbt(args) => dbt::run(*args),
        Command::DbtRunner(args) => dbt::runner::run(&args),
        Command::Run(args) => run::run(args),
        Command::Mcp(args) => mcp::run(*args),
        Command::Memory(args) => memory::run(*args),
        Command::Shim(command) => shim::run(command),
        Command::Demo(args) => demo::run(&args),
        Command::Completions { shell } => completions::run(shell),
        Command::Environment { json } => environment::run(json),
        Command::Snapshot(args) => snapshot::run(&args),
        Command::SnapshotCopy(args) => snapshot_copy::run(&args),
        Command::DemoWorker(args) => demo::worker::run(&args),
        #[cfg(feature = "broker")]
        Command::Probe(args) => probe::run(&args),
        #[cfg(feature = "broker")]
        Command::ProbeWorker(args) => probe::worker::run(&args),
        #[cfg(feature = "broker")]
        Command::Serve(args) => serve::run(args),
        #[cfg(feature = "broker")]
        Command::Broker(args) => broker::run(&args),
    }
}

/// Runs what asks others and has little to do itself.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// A client that starts nothing.
fn onlooker(database: &std::path::Path) -> Result<Client, Failure> {
    Ok(Client::open(database, ClientOptions::onlooker())?)
}

impl From<PriorityArg> for Priority {
    fn from(priority: PriorityArg) -> Self {
        match priority {
            PriorityArg::High => Self::High,
            PriorityArg::Normal => Self::Normal,
            PriorityArg::Low => Self::Low,
        }
    }
}

impl From<PriorityArg> for dbmux_lock::Priority {
    fn from(priority: PriorityArg) -> Self {
        match priority {
            PriorityArg::High => Self::High,
            PriorityArg::Normal => Self::Normal,
            PriorityArg::Low => Self::Low,
        }
    }
}
