//! Moves money from one account to another: all of it, or nothing, and again when somebody else was quicker.
//!
//! Needs a `dbmux` binary in `PATH` (or beside this program), which is started as the file's broker:
//!
//! ```sh
//! cargo run --release --example transaction -p dbmux-client -- bank.duckdb
//! ```

#![expect(clippy::print_stdout, reason = "an example speaks")]

use std::error::Error;

use arrow::{array::AsArray, datatypes::Int64Type};
use dbmux_client::{Client, ClientError, ClientOptions, Session, Statement};

/// Moves so many cents. Answers with how often it had to be begun.
async fn transfer(session: &Session, from: &str, to: &str, cents: i64) -> Result<u32, ClientError> {
    let update = |who: &str, cents: i64| {
        Statement::new("UPDATE accounts SET cents = cents + $1 WHERE name = $2").bind(cents).bind(who)
    };
    for tries in 1.. {
        let moved = session.transaction(async |transaction| {
            transaction.execute(update(from, -cents)).await?;
            transaction.execute(update(to, cents)).await
        });
        match moved.await {
            Ok(_) => return Ok(tries),
            // Another transaction changed the same rows first: nothing of ours has happened.
            Err(error) if error.is_conflict() => {}
            // `error.is_outcome_unknown()`: the broker went away during the commit. Look before you repeat it.
            Err(error) => return Err(error),
        }
    }
    unreachable!("there is always another number")
}

/// Sixteen transfers at once. Answers with what is on both accounts.
pub(crate) async fn run(file: &str) -> Result<Vec<i64>, Box<dyn Error + Send + Sync>> {
    let client = Client::open(file, ClientOptions::default())?;
    let session = client.session().await?;
    session.execute("CREATE OR REPLACE TABLE accounts (name VARCHAR, cents BIGINT)").await?;
    session.execute("INSERT INTO accounts VALUES ('Ada', 10000), ('Grace', 0)").await?;

    let transfers = (1..=16).map(|number| {
        let client = client.clone();
        async move {
            // A session each: one session does one thing after the other.
            let tries = transfer(&client.session().await?, "Ada", "Grace", 100).await?;
            println!("transfer {number} was begun {tries} times");
            Ok::<_, ClientError>(())
        }
    });
    futures::future::try_join_all(transfers).await?;

    // Begun by hand, a transaction that is dropped is rolled back.
    let transaction = session.begin().await?;
    transaction.execute("DELETE FROM accounts").await?;
    drop(transaction);

    let batches = session.query("SELECT cents FROM accounts ORDER BY name").await?.collect().await?;
    Ok(batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let file = std::env::args().nth(1).ok_or("usage: transaction FILE")?;
    println!("Ada and Grace have {:?} cents", run(&file).await?);
    Ok(())
}
