//! `dbmux mcp` as agents' programs start it: the official SDKs, and many servers beside each other and whoever else there is.

#![expect(clippy::expect_used, clippy::panic, reason = "a test's own way to fail")]

mod agent;
mod by_hand;
#[cfg(feature = "duckdb")]
mod dbt;
#[cfg(feature = "duckdb")]
mod dbt_cancel;
#[cfg(feature = "duckdb")]
mod dbt_official;
mod inspector;
mod leaving;
mod memories;
mod official;
mod reports;
mod together;
mod waiting;
mod writing;
