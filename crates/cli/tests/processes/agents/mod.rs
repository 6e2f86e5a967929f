//! `dbmux mcp` as agents' programs start it: the official SDKs, and many servers beside each other and whoever else there is.
//!
//! What is here is run with SQLite so far: with DuckDB it has not been tried yet.

#![expect(clippy::expect_used, clippy::panic, reason = "a test's own way to fail")]

mod agent;
mod by_hand;
mod dbt;
mod leaving;
mod memories;
mod official;
mod reports;
mod together;
mod waiting;
