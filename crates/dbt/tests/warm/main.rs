//! A warm dbt, with real dbt.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod cancel;
mod invoke;
mod lost;
mod output;
mod profile;
mod restart;
mod support;
