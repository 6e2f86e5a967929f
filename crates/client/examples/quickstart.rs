//! Opens a database, writes to it, and reads it back as Arrow. Any number of processes may run this at once, on one file.
//!
//! Needs a `dbmux` binary in `PATH` (or beside this program), which the first of them starts as the file's broker:
//!
//! ```sh
//! cargo run --release --example quickstart -p dbmux-client -- sales.duckdb
//! ```

#![expect(clippy::print_stdout, reason = "an example speaks")]

use std::error::Error;

use arrow::{array::AsArray, datatypes::Int64Type};
use dbmux_client::{Client, ClientOptions, Statement};

/// Answers with the number of orders, and what they come to.
pub(crate) async fn run(file: &str) -> Result<(usize, i64), Box<dyn Error + Send + Sync>> {
    // Nothing is started, made or opened yet.
    let client = Client::open(file, ClientOptions::default())?;

    // A session: transactions, temporary tables and settings are its own.
    let session = client.session().await?;
    session.execute("CREATE TABLE IF NOT EXISTS orders (id BIGINT, item VARCHAR, cents BIGINT)").await?;
    let insert = "INSERT INTO orders SELECT coalesce(max(id), 0) + 1, $item, $cents FROM orders";
    for (item, cents) in [("tea", 340), ("cake", 520)] {
        // When this returns, the row is in the file, and synced.
        session.execute(Statement::new(insert).bind_named("item", item).bind_named("cents", cents)).await?;
    }

    // The answer arrives batch by batch, and is never held in memory as a whole.
    let (mut rows, mut total) = (0, 0);
    let mut answer = session.query("SELECT id, item, cents FROM orders ORDER BY id").await?;
    while let Some(batch) = answer.next().await? {
        rows += batch.num_rows();
        total += batch.column(2).as_primitive::<Int64Type>().values().iter().sum::<i64>();
    }
    Ok((rows, total))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let file = std::env::args().nth(1).ok_or("usage: quickstart FILE")?;
    let (rows, total) = run(&file).await?;
    println!("{rows} orders, {}.{:02} in all", total / 100, total % 100);
    Ok(())
}
