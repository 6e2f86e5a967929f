//! Finding dbt, with real processes: real dbt, and real programs that only look like it.

mod alarms;
mod hidden;
mod hosts;
mod runs;
mod support;
mod waits;
