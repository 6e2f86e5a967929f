//! `mp`: a small analytics command-line tool, as people write them on DuckDB, but on `dbmux-client`.
//!
//! Three kinds of commands: some ask only the (here simulated) remote service, some read the database, one writes to it
//! for a long time. Any of them run beside any others, in as many shells as you like. There is no DuckDB in this program.

mod args;
mod ask;
mod bookmarks;
mod failure;
mod fetch;
mod inspect;
mod remote;
mod report;

use clap::Parser;

use crate::{
    args::{Arguments, Command, Fetch, Inspect, Query},
    ask::Database,
    failure::Failure,
};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.common.json;
    match run(arguments).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => {
            failure.show(json);
            failure.exit_code()
        }
    }
}

async fn run(Arguments { common, command }: Arguments) -> Result<(), Failure> {
    match command {
        // No client is made here: what needs no database touches none.
        Command::Inspect(Inspect::Bookmarks) => bookmarks::run(&common).await,
        Command::Inspect(Inspect::Data(what)) => inspect::run(&Database::reading(&common)?, &what).await,
        Command::Query(Query::Sql { sql }) => Database::reading(&common)?.show(sql.as_str()).await,
        Command::Fetch(Fetch::Events { table }) => fetch::run(&Database::writing(&common)?, &table, &common).await,
    }
}
