//! A database's rows: of types that can be written, as JSON and as CSV.

pub mod csv;
pub mod json;
pub mod plain;
pub mod values;
