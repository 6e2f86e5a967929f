//! Primary and foreign keys.

use std::sync::{Arc, LazyLock};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys,
};
use dbmux_engine::quote::literal;
use tonic::Status;

use super::{ask, conform};
use crate::connection::Caller;

static PRIMARY_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("key_name", DataType::Utf8, true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
});

static FOREIGN_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("pk_catalog_name", DataType::Utf8, true),
        Field::new("pk_db_schema_name", DataType::Utf8, true),
        Field::new("pk_table_name", DataType::Utf8, false),
        Field::new("pk_column_name", DataType::Utf8, false),
        Field::new("fk_catalog_name", DataType::Utf8, true),
        Field::new("fk_db_schema_name", DataType::Utf8, true),
        Field::new("fk_table_name", DataType::Utf8, false),
        Field::new("fk_column_name", DataType::Utf8, false),
        Field::new("key_sequence", DataType::Int32, false),
        Field::new("fk_key_name", DataType::Utf8, true),
        Field::new("pk_key_name", DataType::Utf8, true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
});

pub(super) fn primary_schema() -> SchemaRef {
    SchemaRef::clone(&PRIMARY_SCHEMA)
}

pub(super) fn foreign_schema() -> SchemaRef {
    SchemaRef::clone(&FOREIGN_SCHEMA)
}

/// A condition on a column; nothing where the client does not care.
fn is(column: &str, value: Option<&str>) -> String {
    value.map(|value| format!(" AND \"{column}\" = {}", literal(value))).unwrap_or_default()
}

pub(super) async fn primary(caller: &Caller, command: CommandGetPrimaryKeys) -> Result<RecordBatch, Status> {
    let sql = format!(
        "SELECT * FROM ({}) AS found WHERE true{}{}{} ORDER BY position",
        caller.session.catalog_sql().primary_keys,
        is("database", command.catalog.as_deref()),
        is("schema", command.db_schema.as_deref()),
        is("name", Some(&command.table)),
    );
    conform(&ask(caller, sql).await?, primary_schema())
}

async fn foreign(caller: &Caller, conditions: &[String], order: &str) -> Result<RecordBatch, Status> {
    let keys = caller.session.catalog_sql().foreign_keys;
    let sql = format!("SELECT * FROM ({keys}) AS found WHERE true{} ORDER BY {order}", conditions.concat());
    conform(&ask(caller, sql).await?, foreign_schema())
}

const BY_PRIMARY: &str = "pk_database, pk_schema, pk_table, fk_name, position";
const BY_FOREIGN: &str = "fk_database, fk_schema, fk_table, fk_name, position";

pub(super) async fn imported(caller: &Caller, command: CommandGetImportedKeys) -> Result<RecordBatch, Status> {
    let conditions = [
        is("fk_database", command.catalog.as_deref()),
        is("fk_schema", command.db_schema.as_deref()),
        is("fk_table", Some(&command.table)),
    ];
    foreign(caller, &conditions, BY_PRIMARY).await
}

pub(super) async fn exported(caller: &Caller, command: CommandGetExportedKeys) -> Result<RecordBatch, Status> {
    let conditions = [
        is("pk_database", command.catalog.as_deref()),
        is("pk_schema", command.db_schema.as_deref()),
        is("pk_table", Some(&command.table)),
    ];
    foreign(caller, &conditions, BY_FOREIGN).await
}

pub(super) async fn cross(caller: &Caller, command: CommandGetCrossReference) -> Result<RecordBatch, Status> {
    let conditions = [
        is("pk_database", command.pk_catalog.as_deref()),
        is("pk_schema", command.pk_db_schema.as_deref()),
        is("pk_table", Some(&command.pk_table)),
        is("fk_database", command.fk_catalog.as_deref()),
        is("fk_schema", command.fk_db_schema.as_deref()),
        is("fk_table", Some(&command.fk_table)),
    ];
    foreign(caller, &conditions, BY_FOREIGN).await
}
