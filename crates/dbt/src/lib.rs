//! Finds dbt's projects and processes, and runs dbt under its project's lock and its databases' leases.

mod error;

pub use error::DbtError;
