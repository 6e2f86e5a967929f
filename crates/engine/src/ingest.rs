//! How a wire protocol puts rows into a table that it may have to make: in the engine's own SQL.

use arrow::datatypes::DataType;

/// What has to be known of an engine's SQL for that.
#[derive(Debug, Clone, Copy)]
pub struct IngestSql {
    /// The type of a new table's column for such values; `None`: there is none.
    pub column_type: fn(&DataType) -> Option<String>,
    /// The schema that is meant where a database is named and none in it; empty: the engine has no schemas.
    pub schema: &'static str,
    /// What stands before a temporary table's name.
    pub temporary: &'static str,
    /// It knows `CREATE OR REPLACE TABLE`.
    pub replaces: bool,
    /// How many rows are given to one statement.
    pub rows: IngestRows,
}

/// How many rows are given to one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IngestRows {
    /// As one value, a list of structs that the statement unpacks.
    AsList,
    /// As the statement's parameters: it runs for each row, for all of them or for none.
    AsParameters,
}
