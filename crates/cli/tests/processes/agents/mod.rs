//! `dbmux mcp` as agents' programs start it: the official SDKs, and many servers beside each other and whoever else there is.

#![expect(clippy::expect_used, clippy::panic, reason = "a test's own way to fail")]

mod agent;
mod by_hand;
mod dbt;
mod dbt_cancel;
mod dbt_official;
mod inspector;
mod leaving;
mod memories;
mod official;
mod reports;
mod together;
mod waiting;
