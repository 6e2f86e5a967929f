//! The engine on real LanceDB, beside real Python processes, and killed in the middle of its work.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it measured"
)]

mod changes;
mod foreign;
mod killed;
mod lifecycle;
mod rearranging;
mod searching;
mod support;
mod together;
