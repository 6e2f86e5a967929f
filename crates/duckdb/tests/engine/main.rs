//! The engine on real DuckDB, with foreign openers in real Python processes.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it measured"
)]

mod attached;
mod files;
mod hazards;
mod merging;
mod repeated;
mod sessions;
mod snapshot;
mod streams;
mod support;
mod types;
