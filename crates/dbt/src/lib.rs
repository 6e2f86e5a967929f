//! Finds dbt's projects and processes, and runs dbt under its project's lock and its databases' leases.

mod error;
pub mod find;

pub use error::DbtError;
