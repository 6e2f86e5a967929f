//! How the tables are asked for in SQL.
//!
//! DataFusion's own `information_schema` knows the tables that a statement names, and no others: so what there is stands in
//! a table of ours, that is there for whoever names it.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use dbmux_engine::{CatalogSql, EngineError, IngestRows, IngestSql, SqlFeatures};
use lancedb::datafusion::datasource::MemTable;

use crate::{errors, ffi, looks, opened::Source};

/// The name of the database in SQL, and of the one schema that DataFusion wants.
pub(crate) const NAME: &str = "lance";
/// The table of tables.
pub(crate) const TABLES: &str = "dbmux_tables";

/// How a database of LanceDB is asked what there is. There are no keys, and no table was made by SQL.
pub const CATALOG: CatalogSql = CatalogSql {
    current: "SELECT 'lance' AS database, '' AS schema",
    databases: "SELECT 'lance' AS database",
    schemas: "SELECT 'lance' AS database, '' AS schema",
    tables: "SELECT database, schema, name, kind FROM dbmux_tables",
    definitions: "SELECT '' AS database, '' AS schema, '' AS name, '' AS sql WHERE false",
    primary_keys: "SELECT '' AS database, '' AS schema, '' AS name, '' AS column_name, '' AS key_name, 0 AS position \
                   WHERE false",
    foreign_keys: "SELECT '' AS pk_database, '' AS pk_schema, '' AS pk_table, '' AS pk_column, '' AS fk_database, \
                   '' AS fk_schema, '' AS fk_table, '' AS fk_column, 0 AS position, '' AS fk_name, '' AS pk_name, \
                   0 AS on_update, 0 AS on_delete WHERE false",
    // SQL only reads here.
    features: SqlFeatures { types: &[], tables: false, schemas: false, isolation: None, savepoints: false },
};

/// Flight SQL's ingestion is of SQL, which only reads here: rows are added by operations.
pub(crate) const INGEST: IngestSql =
    IngestSql { column_type: |_| None, schema: "", temporary: "", replaces: false, rows: IngestRows::AsParameters };

/// The table of tables, as they are now.
pub(crate) async fn tables(source: &Source) -> Result<MemTable, EngineError> {
    let names = source.names().await?;
    let same = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; names.len()])) };
    let columns = vec![same(NAME), same(""), Arc::new(StringArray::from(names.clone())), same("BASE TABLE")];
    let fields = ["database", "schema", "name", "kind"].map(|name| Field::new(name, DataType::Utf8, true));
    let batch: RecordBatch = looks::batch(Arc::new(Schema::new(fields.to_vec())), columns)?;
    let batch = ffi::batch_to_theirs(&batch)?;
    MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(|error| errors::of(&error, source.path()))
}
