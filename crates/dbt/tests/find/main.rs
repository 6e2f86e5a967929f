//! Finding dbt, with real processes: real dbt, and real programs that only look like it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test ends by panicking, and says what it did not do"
)]

mod alarms;
mod hidden;
mod hosts;
mod runs;
mod support;
mod waits;
