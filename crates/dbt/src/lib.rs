//! Finds dbt's projects and processes, and runs dbt under its project's lock and its databases' leases.

mod command;
mod error;

pub use command::{DbtCommand, Kind};
pub use error::DbtError;
