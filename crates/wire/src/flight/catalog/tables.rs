//! Catalogs, schemas and tables. Patterns are matched here, by the protocol's rules, not by the engine's.

use arrow::{array::RecordBatch, datatypes::Schema};
use arrow_flight::sql::{
    CommandGetDbSchemas, CommandGetTableTypes, CommandGetTables,
    metadata::{GetCatalogsBuilder, GetDbSchemasBuilder},
};
use tonic::Status;

use super::{ask, broken, no_columns, texts};
use crate::{connection::Caller, flight::sql_type::quoted};

/// The databases that a client may know of: files. (The broker's own one, in memory, is nobody's business.)
const FILES: &str = "SELECT database_name FROM duckdb_databases() WHERE NOT internal AND path IS NOT NULL";

/// Tables and views with their catalog, schema and type; temporary ones are in the catalog `temp`.
fn all() -> String {
    format!(
        "WITH files AS ({FILES}) \
         SELECT database_name, schema_name, table_name AS name, \
           CASE WHEN temporary THEN 'LOCAL TEMPORARY' ELSE 'BASE TABLE' END AS kind \
         FROM duckdb_tables() WHERE NOT internal AND (temporary OR database_name IN (FROM files)) \
         UNION ALL \
         SELECT database_name, schema_name, view_name, 'VIEW' \
         FROM duckdb_views() WHERE NOT internal AND (temporary OR database_name IN (FROM files))"
    )
}

pub(super) async fn catalogs(caller: &Caller) -> Result<RecordBatch, Status> {
    let sql = format!("SELECT DISTINCT database_name FROM ({FILES} UNION ALL SELECT database_name FROM ({}))", all());
    let names = texts(&ask(caller, sql).await?, 0)?;
    let mut builder = GetCatalogsBuilder::new();
    names.iter().flatten().for_each(|name| builder.append(name));
    builder.build().map_err(|error| broken(&error))
}

pub(super) async fn schemas(caller: &Caller, command: CommandGetDbSchemas) -> Result<RecordBatch, Status> {
    let sql = format!(
        "SELECT DISTINCT * FROM ( \
         SELECT database_name, schema_name FROM duckdb_schemas() WHERE database_name IN ({FILES}) \
           AND schema_name NOT IN ('information_schema', 'pg_catalog') \
         UNION ALL SELECT database_name, schema_name FROM ({}))",
        all()
    );
    let found = ask(caller, sql).await?;
    let (catalogs, schemas) = (texts(&found, 0)?, texts(&found, 1)?);
    let mut builder = GetDbSchemasBuilder::new(command.catalog, command.db_schema_filter_pattern);
    for (catalog, schema) in catalogs.iter().zip(&schemas) {
        builder.append(catalog.unwrap_or_default(), schema.unwrap_or_default());
    }
    builder.build().map_err(|error| broken(&error))
}

pub(super) async fn tables(caller: &Caller, command: CommandGetTables) -> Result<RecordBatch, Status> {
    let found = ask(caller, all()).await?;
    let wanted = filtered(&found, CommandGetTables { include_schema: false, ..command.clone() })?;
    if !command.include_schema {
        return Ok(wanted);
    }
    let columns = (texts(&wanted, 0)?, texts(&wanted, 1)?, texts(&wanted, 2)?, texts(&wanted, 3)?);
    let mut builder = CommandGetTables { include_schema: true, ..CommandGetTables::default() }.into_builder();
    for (((catalog, schema), table), kind) in columns.0.iter().zip(&columns.1).zip(&columns.2).zip(&columns.3) {
        let (catalog, schema) = (catalog.unwrap_or_default(), schema.unwrap_or_default());
        let (table, kind) = (table.unwrap_or_default(), kind.unwrap_or_default());
        let columns = columns_of(caller, catalog, schema, table).await;
        builder.append(catalog, schema, table, kind, &columns).map_err(|error| broken(&error))?;
    }
    builder.build().map_err(|error| broken(&error))
}

fn filtered(found: &RecordBatch, command: CommandGetTables) -> Result<RecordBatch, Status> {
    let columns = (texts(found, 0)?, texts(found, 1)?, texts(found, 2)?, texts(found, 3)?);
    let mut builder = command.into_builder();
    for (((catalog, schema), table), kind) in columns.0.iter().zip(&columns.1).zip(&columns.2).zip(&columns.3) {
        let (catalog, schema) = (catalog.unwrap_or_default(), schema.unwrap_or_default());
        let (table, kind) = (table.unwrap_or_default(), kind.unwrap_or_default());
        builder.append(catalog, schema, table, kind, &no_columns()).map_err(|error| broken(&error))?;
    }
    builder.build().map_err(|error| broken(&error))
}

/// A table's columns as a query would give them. A view that no longer works has none.
async fn columns_of(caller: &Caller, catalog: &str, schema: &str, table: &str) -> Schema {
    let sql = format!("SELECT * FROM {}.{}.{}", quoted(catalog), quoted(schema), quoted(table));
    match caller.session.prepare(&sql).await {
        Ok(prepared) => {
            caller.session.forget(prepared.id).await;
            prepared.schema.as_ref().clone()
        }
        Err(error) => {
            tracing::debug!(%error, "the columns of a table or view cannot be told");
            no_columns()
        }
    }
}

pub(super) fn types() -> Result<RecordBatch, Status> {
    let mut builder = CommandGetTableTypes {}.into_builder();
    ["BASE TABLE", "LOCAL TEMPORARY", "VIEW"].into_iter().for_each(|kind| builder.append(kind));
    builder.build().map_err(|error| broken(&error))
}
