//! `mp inspect tables | schema | sample | describe | column`: reads, each one statement.

use crate::{args::Data, ask::Database, failure::Failure};

const TABLES: &str = "SELECT table_name AS name, estimated_size AS rows, column_count AS columns \
     FROM duckdb_tables() WHERE database_name = current_database() AND NOT internal ORDER BY name";

/// Runs one of them.
pub(crate) async fn run(database: &Database, what: &Data) -> Result<(), Failure> {
    let sql = match what {
        Data::Tables => TABLES.to_owned(),
        Data::Schema { table } => format!("DESCRIBE {}", quoted(table)),
        Data::Sample { table, rows } => format!("FROM {} USING SAMPLE {rows} ROWS", quoted(table)),
        Data::Describe { table } => format!("SUMMARIZE {}", quoted(table)),
        Data::Column { table, column } => values(table, column),
    };
    database.show(sql).await
}

/// How many, how many of them are missing, and the ten most frequent.
fn values(table: &str, column: &str) -> String {
    let (table, column) = (quoted(table), quoted(column));
    format!(
        "SELECT count(*) AS rows, count(*) - count({column}) AS missing, count(DISTINCT {column}) AS different, \
         approx_top_k({column}::VARCHAR, 10) AS most_frequent FROM {table}"
    )
}

/// A name as SQL takes it, whatever it holds.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
