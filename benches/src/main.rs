//! Measures dbmux, one figure a command, and prints it as one JSON object. `benches/run.sh` runs it beside the rivals.

mod figures;
mod lock;
mod sql;

use std::path::PathBuf;

use clap::Parser;

/// One figure.
#[derive(Debug, Parser)]
enum Figure {
    /// Uncontended acquire and release, beside a bare flock pair.
    LockAlone,
    /// From release to the next one running, beside a blocking flock.
    LockHandOff,
    /// From the holder's SIGKILL to the next one running.
    LockKilled,
    /// One of this program's own processes.
    #[command(hide = true)]
    Worker {
        /// What it does.
        what: String,
        /// Its lock's file.
        path: PathBuf,
    },
    /// `SELECT 42` on an open session.
    Select {
        /// The `dbmux` binary.
        dbmux: PathBuf,
    },
    /// 5 million rows of 3 columns to Arrow.
    Scan {
        /// The `dbmux` binary.
        dbmux: PathBuf,
    },
    /// Acknowledged single-row inserts of 16 sessions.
    Insert {
        /// The `dbmux` binary.
        dbmux: PathBuf,
    },
    /// Small reads and writes alone, and beside a heavy writer.
    Beside {
        /// The `dbmux` binary.
        dbmux: PathBuf,
    },
    /// The broker's memory, idle and released, after a query over 20 million rows.
    Memory {
        /// The `dbmux` binary.
        dbmux: PathBuf,
    },
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let result = match Figure::parse() {
        Figure::LockAlone => lock::alone()?,
        Figure::LockHandOff => lock::hand_off()?,
        Figure::LockKilled => lock::killed()?,
        Figure::Worker { what, path } => return lock::worker(&what, &path),
        Figure::Select { dbmux } => sql::select(&dbmux)?,
        Figure::Scan { dbmux } => sql::scan(&dbmux)?,
        Figure::Insert { dbmux } => sql::insert(&dbmux)?,
        Figure::Beside { dbmux } => sql::beside(&dbmux)?,
        Figure::Memory { dbmux } => sql::memory(&dbmux)?,
    };
    println!("{result}");
    Ok(())
}
