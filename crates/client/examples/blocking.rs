//! The client without `async`: a transaction, an answer batch by batch, and a statement that is watched and cancelled.
//!
//! Needs a `dbmux` binary in `PATH` (or beside this program), which is started as the file's broker:
//!
//! ```sh
//! cargo run --release --example blocking -p dbmux-client -- sales.duckdb
//! ```

#![expect(clippy::print_stdout, reason = "an example speaks")]

use std::{error::Error, thread};

use dbmux_client::{ClientOptions, ErrorCode, Statement, StatementState, blocking::Client};

/// Answers with the number of rows that were read.
pub(crate) fn run(file: &str) -> Result<usize, Box<dyn Error + Send + Sync>> {
    let session = Client::open(file, ClientOptions::default())?.session()?;
    session.execute("CREATE OR REPLACE TABLE numbers (i BIGINT)")?;
    session.transaction(|transaction| {
        transaction.execute("INSERT INTO numbers SELECT * FROM range(100000)")?;
        transaction.execute("DELETE FROM numbers WHERE i % 2 = 0")
    })?;
    let mut rows = 0;
    for batch in session.query("SELECT i FROM numbers")? {
        rows += batch?.num_rows();
    }

    // Another thread sees what becomes of a statement, by its number, and may end it.
    let long =
        Statement::new("SELECT count(*) FROM range(10000000) a(i), range(10000000) b(i) WHERE (a.i + b.i) % 7 = 0");
    let number = long.id();
    thread::scope(|scope| {
        let running = scope.spawn(|| session.execute(long));
        while !running.is_finished() {
            // Before it has arrived, there is nothing to see.
            if session.watch(number)?.any(|event| event.state() == StatementState::Running) {
                session.cancel(number)?;
            }
        }
        match running.join() {
            Ok(Err(error)) if error.code() == ErrorCode::Cancelled => println!("the long one was cancelled"),
            other => println!("the long one ended by itself: {other:?}"),
        }
        Ok::<_, dbmux_client::ClientError>(())
    })?;
    Ok(rows)
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let file = std::env::args().nth(1).ok_or("usage: blocking FILE")?;
    println!("{} numbers are left", run(&file)?);
    Ok(())
}
