//! What there is: catalogs, schemas, tables and keys, asked for by SQL in the caller's own session (so that its temporary
//! tables and its open transaction are seen), and what this server can do, which is fixed.

mod keys;
mod server;
mod tables;
mod types;

use arrow::{
    array::{AsArray, RecordBatch, StringArray},
    compute::{cast, concat_batches},
    datatypes::{DataType, Schema, SchemaRef},
};
use arrow_flight::sql::{
    Command, CommandGetTableTypes,
    metadata::{GetCatalogsBuilder, GetDbSchemasBuilder},
};
use dbmux_engine::StatementRequest;
use futures::TryStreamExt;
use tonic::Status;

use super::transaction;
use crate::{
    connection::Caller,
    status::{internal, status, unsupported},
};

/// The columns of the answer to a catalog command.
pub(super) fn schema(command: &Command) -> Result<SchemaRef, Status> {
    Ok(match command {
        Command::CommandGetCatalogs(_) => GetCatalogsBuilder::new().schema(),
        Command::CommandGetDbSchemas(_) => GetDbSchemasBuilder::new(None::<String>, None::<String>).schema(),
        Command::CommandGetTables(command) => command.clone().into_builder().schema(),
        Command::CommandGetTableTypes(_) => CommandGetTableTypes {}.into_builder().schema(),
        Command::CommandGetPrimaryKeys(_) => keys::primary_schema(),
        Command::CommandGetImportedKeys(_)
        | Command::CommandGetExportedKeys(_)
        | Command::CommandGetCrossReference(_) => keys::foreign_schema(),
        Command::CommandGetSqlInfo(_) => server::schema(),
        Command::CommandGetXdbcTypeInfo(_) => types::schema()?,
        other => return Err(unsupported(format!("{} is not supported here", other.type_url()))),
    })
}

/// Answers a catalog command.
pub(super) async fn answer(caller: &Caller, command: Command) -> Result<RecordBatch, Status> {
    transaction::settled(caller).await;
    match command {
        Command::CommandGetCatalogs(_) => tables::catalogs(caller).await,
        Command::CommandGetDbSchemas(command) => tables::schemas(caller, command).await,
        Command::CommandGetTables(command) => tables::tables(caller, command).await,
        Command::CommandGetTableTypes(_) => tables::types(),
        Command::CommandGetPrimaryKeys(command) => keys::primary(caller, command).await,
        Command::CommandGetImportedKeys(command) => keys::imported(caller, command).await,
        Command::CommandGetExportedKeys(command) => keys::exported(caller, command).await,
        Command::CommandGetCrossReference(command) => keys::cross(caller, command).await,
        Command::CommandGetSqlInfo(command) => server::info(caller, command),
        Command::CommandGetXdbcTypeInfo(command) => types::info(caller, command),
        other => Err(unsupported(format!("{} is not supported here", other.type_url()))),
    }
}

/// Asks the session, and gives the whole answer as one batch.
async fn ask(caller: &Caller, sql: String) -> Result<RecordBatch, Status> {
    let request = StatementRequest { sql, ..StatementRequest::default() };
    let answer = caller.session.run(request).await.map_err(status)?;
    let batches: Vec<_> = answer.batches.try_collect().await.map_err(status)?;
    concat_batches(&answer.schema, &batches).map_err(|error| broken(&error))
}

/// An answer's column as text.
fn texts(batch: &RecordBatch, column: usize) -> Result<StringArray, Status> {
    let column = batch.columns().get(column).ok_or_else(|| internal("the catalog's answer lacks a column"))?;
    Ok(cast(column, &DataType::Utf8).map_err(|error| broken(&error))?.as_string().clone())
}

/// An answer with the columns that the protocol wants.
fn conform(batch: &RecordBatch, schema: SchemaRef) -> Result<RecordBatch, Status> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<Result<_, _>>().map_err(|error| broken(&error))?;
    RecordBatch::try_new(schema, columns).map_err(|error| broken(&error))
}

fn broken(error: &dyn std::error::Error) -> Status {
    internal(format!("failed to answer from the catalog: {error}"))
}

/// An empty schema, for what cannot be told.
fn no_columns() -> Schema {
    Schema::empty()
}
