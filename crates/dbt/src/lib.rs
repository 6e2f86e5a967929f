//! Finds dbt's projects and processes, and runs dbt under its project's lock and its databases' leases.

mod command;
mod error;
pub mod find;
pub mod plan;
mod scope;
mod waiting;

pub use command::{DbtCommand, Kind};
pub use error::DbtError;
pub use scope::Scope;
pub use waiting::{Waiting, WaitsFor, Whom};
pub mod runner;
