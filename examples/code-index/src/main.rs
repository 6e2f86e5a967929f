//! `code-index`: a source tree in a database, to be searched by meaning and by words, on `dbmux-client`.
//!
//! Any number of processes index one tree into one database at once, while any number of others search it: on DuckDB, which
//! lets one process in, on SQLite, which lets one write, and on LanceDB, which lets all do as they like. There is none of
//! the three in this program. One code path for all of them; what is different is in `store/`, a file each.

mod args;
mod embed;
mod failure;
mod index;
mod report;
mod search;
mod store;
mod tree;

use clap::Parser;

use crate::{
    args::{Arguments, Command},
    failure::Failure,
};

// A process of this kind waits for answers; whoever wants more of the machine gives it more processes.
#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => {
            failure.show();
            failure.exit_code()
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Index(index) => index::run(arguments, index).await,
        Command::Search(search) => search::run(arguments, search).await,
    }
}
