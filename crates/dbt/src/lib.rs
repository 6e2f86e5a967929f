//! Finds dbt's projects and processes, and runs dbt under its project's lock and its databases' leases.

mod command;
mod environment;
mod error;
pub mod plan;
mod scope;
mod waiting;
pub mod find;
mod interpreter;
pub mod warm;

pub use command::{DbtCommand, Kind};
pub use environment::{Environment, NOISE};
pub use error::DbtError;
pub use scope::Scope;
pub use waiting::{Waiting, WaitsFor, Whom};
pub mod runner;
pub use interpreter::Interpreter;
