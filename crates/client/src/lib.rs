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
//! This face needs a `tokio` runtime with its clock and its I/O enabled; [`blocking`] has the same without `async`, and
//! needs none.
//!
//! # What is promised
//!
//! - A write that is answered is in the file, and synced. One whose answer was lost is [`ClientError::OutcomeUnknown`], and
//!   is never sent again behind the caller's back. A read is, once, where nobody can tell the difference.
//! - Every wait ends: at [`Statement::wait`], else at [`ClientOptions::wait`], with an error that names who was in the way
//!   ([`ClientError::holder`]) and what to do ([`ClientError::suggestion`]). A stopped broker is no exception.
//! - A session never has what another caller left in it.

mod answer;
pub mod blocking;
mod brokers;
mod client;
mod connect;
mod error;
mod holder;
mod lease;
mod options;
mod session;
mod shared;
mod statement;
mod transaction;
mod value;

/// The Arrow that answers are made of.
pub use arrow;

pub use answer::Answer;
pub use brokers::brokers;
pub use client::Client;
pub use dbmux_lock::{CancelFlag, ProcessId};
pub use dbmux_proto::{
    ErrorCode, ErrorDetail, HelloReply, Holder, HolderKind, StatementEvent, StatementKind, StatementState, StatsReply,
    StatusReply,
};
pub use error::ClientError;
pub use holder::lock_holder;
pub use lease::{Lease, LeaseProgress, LeaseRequest, LeaseStage, Reads, Still, leased_around};
pub use options::{ClientOptions, Priority};
pub use session::Session;
pub use statement::Statement;
pub use transaction::Transaction;
pub use value::Value;
