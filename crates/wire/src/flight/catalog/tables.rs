//! Catalogs, schemas and tables. Patterns are matched here, by the protocol's rules, not by the engine's.

use arrow::{array::RecordBatch, datatypes::Schema};
use arrow_flight::sql::{
    CommandGetDbSchemas, CommandGetTableTypes, CommandGetTables,
    metadata::{GetCatalogsBuilder, GetDbSchemasBuilder},
};
use dbmux_engine::CatalogSql;
use tonic::Status;

use super::{ask, broken, no_columns, texts};
use crate::connection::Caller;

pub(super) async fn catalogs(caller: &Caller) -> Result<RecordBatch, Status> {
    let CatalogSql { databases, tables, .. } = caller.session.catalog_sql();
    let sql = format!(
        "SELECT DISTINCT database FROM (SELECT database FROM ({databases}) AS a \
         UNION ALL SELECT database FROM ({tables}) AS b) AS found"
    );
    let names = texts(&ask(caller, sql).await?, 0)?;
    let mut builder = GetCatalogsBuilder::new();
    names.iter().flatten().for_each(|name| builder.append(name));
    builder.build().map_err(|error| broken(&error))
}

pub(super) async fn schemas(caller: &Caller, command: CommandGetDbSchemas) -> Result<RecordBatch, Status> {
    let CatalogSql { schemas, tables, .. } = caller.session.catalog_sql();
    let sql = format!(
        "SELECT DISTINCT * FROM (SELECT database, schema FROM ({schemas}) AS a \
         UNION ALL SELECT database, schema FROM ({tables}) AS b) AS found"
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
    let found = ask(caller, caller.session.catalog_sql().tables.to_owned()).await?;
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
    let sql = format!("SELECT * FROM {}", CatalogSql::name([catalog, schema, table]));
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
