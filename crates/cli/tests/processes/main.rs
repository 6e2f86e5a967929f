//! dbmux as others meet it: real processes that are started, stopped, killed, and checked. One program, so that it is
//! linked once.
//!
//! Most of it needs DuckDB. What holds for each engine is run with each that is built in: `-E 'test(::sqlite)'` are
//! SQLite's, which are there in a build without C++ too.
#![cfg(feature = "broker")]

#[macro_use]
mod engines;

mod agents;
#[cfg(feature = "duckdb")]
mod clients;
#[cfg(feature = "duckdb")]
mod commands;
#[cfg(feature = "duckdb")]
mod dbt;
mod holds;
