//! Finds or starts the broker of a database file, and talks to it.
//!
//! Any number of processes may do this with one file at once. The first one starts the broker; nothing has to be set up.
//!
//! ```no_run
//! # async fn example() -> Result<(), dbmux_client::ClientError> {
//! use dbmux_client::{Client, ClientOptions, Statement};
//!
//! let client = Client::open("sales.duckdb", ClientOptions::default())?;
//! let session = client.session().await?;
//! session.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER, item VARCHAR)").await?;
//! session.execute(Statement::new("INSERT INTO orders VALUES (?, ?)").bind(1).bind("tea")).await?;
//! let mut answer = session.query("SELECT * FROM orders").await?;
//! while let Some(batch) = answer.next().await? {
//!     println!("{} rows", batch.num_rows());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`blocking`] has the same without `async`.

mod answer;
pub mod blocking;
mod brokers;
mod client;
mod connect;
mod error;
mod options;
mod session;
mod statement;
mod transaction;
mod value;

pub use answer::Answer;
pub use brokers::brokers;
pub use client::Client;
pub use dbmux_proto::{
    ErrorCode, ErrorDetail, HelloReply, Holder, HolderKind, StatementEvent, StatementKind, StatementState, StatsReply,
    StatusReply,
};
pub use error::ClientError;
pub use options::{ClientOptions, Priority};
pub use session::Session;
pub use statement::Statement;
pub use transaction::Transaction;
pub use value::Value;
