//! Operations that tell of tables: their names, columns, versions, indices, numbers of rows.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use dbmux_engine::EngineError;

use crate::{
    errors, ffi,
    opened::{At, Source},
    operations::Count,
};

fn schema_of(columns: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>()))
}

pub(crate) fn tables_schema() -> SchemaRef {
    schema_of(&[("name", DataType::Utf8)])
}

pub(crate) fn columns_schema() -> SchemaRef {
    schema_of(&[("name", DataType::Utf8), ("type", DataType::Utf8), ("nullable", DataType::Boolean)])
}

pub(crate) fn versions_schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    schema_of(&[("version", DataType::Int64), ("timestamp", time), ("metadata", DataType::Utf8)])
}

pub(crate) fn indices_schema() -> SchemaRef {
    schema_of(&[
        ("name", DataType::Utf8),
        ("type", DataType::Utf8),
        ("columns", DataType::Utf8),
        ("rows", DataType::Int64),
        ("rows_missing", DataType::Int64),
    ])
}

pub(crate) fn version_schema() -> SchemaRef {
    schema_of(&[("version", DataType::Int64)])
}

pub(crate) fn number_schema() -> SchemaRef {
    schema_of(&[("count", DataType::Int64)])
}

pub(crate) fn batch(schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch, EngineError> {
    RecordBatch::try_new(schema, columns).map_err(|error| errors::internal(&error))
}

/// A number, as a row.
pub(crate) fn number(schema: SchemaRef, number: u64) -> Result<RecordBatch, EngineError> {
    batch(schema, vec![Arc::new(Int64Array::from(vec![i64::try_from(number).unwrap_or(i64::MAX)]))])
}

pub(crate) async fn tables(source: &Source) -> Result<RecordBatch, EngineError> {
    batch(tables_schema(), vec![Arc::new(StringArray::from(source.names().await?))])
}

pub(crate) async fn columns(source: &Source, at: At, table: &str) -> Result<RecordBatch, EngineError> {
    let found = source.table(table, at).await?.schema().await.map_err(|error| errors::of(&error, source.path()))?;
    let found = ffi::schema_to_ours(&found)?;
    let names: Vec<_> = found.fields().iter().map(|field| field.name().clone()).collect();
    let kinds: Vec<_> = found.fields().iter().map(|field| field.data_type().to_string()).collect();
    let nullable: Vec<_> = found.fields().iter().map(|field| field.is_nullable()).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(names)),
        Arc::new(StringArray::from(kinds)),
        Arc::new(BooleanArray::from(nullable)),
    ];
    batch(columns_schema(), columns)
}

pub(crate) async fn versions(source: &Source, table: &str) -> Result<RecordBatch, EngineError> {
    let table = source.table(table, At::Latest).await?;
    let versions = table.list_versions().await.map_err(|error| errors::of(&error, source.path()))?;
    let numbers: Vec<_> = versions.iter().map(|version| i64::try_from(version.version).unwrap_or(i64::MAX)).collect();
    let times: Vec<_> = versions.iter().map(|version| version.timestamp.timestamp_micros()).collect();
    let metadata: Result<Vec<_>, _> = versions.iter().map(|version| serde_json::to_string(&version.metadata)).collect();
    let metadata = metadata.map_err(|error| errors::internal(&error))?;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(numbers)),
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        Arc::new(StringArray::from(metadata)),
    ];
    batch(versions_schema(), columns)
}

pub(crate) async fn indices(source: &Source, at: At, table: &str) -> Result<RecordBatch, EngineError> {
    let table = source.table(table, at).await?;
    let found = table.list_indices().await.map_err(|error| errors::of(&error, source.path()))?;
    let number = |number: Option<u64>| number.and_then(|number| i64::try_from(number).ok());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(found.iter().map(|index| &index.name))),
        Arc::new(StringArray::from_iter_values(found.iter().map(|index| index.index_type.to_string()))),
        Arc::new(StringArray::from_iter_values(found.iter().map(|index| index.columns.join(", ")))),
        Arc::new(found.iter().map(|index| number(index.num_indexed_rows)).collect::<Int64Array>()),
        Arc::new(found.iter().map(|index| number(index.num_unindexed_rows)).collect::<Int64Array>()),
    ];
    batch(indices_schema(), columns)
}

pub(crate) async fn count(source: &Source, at: At, count: &Count) -> Result<RecordBatch, EngineError> {
    let table = source.table(&count.table, at).await?;
    let counted = table.count_rows(count.filter.clone()).await.map_err(|error| errors::of(&error, source.path()))?;
    number(number_schema(), counted as u64)
}
