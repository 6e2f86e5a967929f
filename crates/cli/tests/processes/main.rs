//! dbmux as others meet it: real processes that are started, stopped, killed, and checked. One program, so that it is
//! linked once.
#![cfg(feature = "duckdb")]

mod clients;
mod commands;
mod dbt;
mod holds;
