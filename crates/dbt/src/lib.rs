//! Finds dbt's projects and processes, and runs dbt under its project's lock and its databases' leases.

pub mod columns;
mod command;
mod environment;
mod error;
pub mod find;
pub mod guarded;
mod host;
mod interpreter;
pub mod manifest;
pub mod plan;
pub mod profile;
mod project;
pub mod runner;
mod scope;
mod waiting;
pub mod warm;
mod yaml;

pub use command::{DbtCommand, Kind};
pub use environment::{Environment, NOISE};
pub use error::DbtError;
pub use interpreter::Interpreter;
pub use project::{PROJECT_FILE, ProfileName, Project};
pub use scope::Scope;
pub use waiting::{Waiting, WaitsFor, Whom};
