//! Rows into a table, made where it is not there: all of them, or none.
//!
//! What is written is the engine's to say, and whether rows cross as one value that it unpacks, or as a statement's
//! parameters, for each of which it runs.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, ListArray, RecordBatch, StructArray},
    buffer::OffsetBuffer,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use arrow_flight::{
    decode::FlightRecordBatchStream,
    sql::{CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption},
};
use dbmux_engine::{CatalogSql, IngestRows, IngestSql, PreparedId, StatementRequest, quote::quoted};
use tonic::Status;

use super::{
    prepared::numbered,
    transaction,
    upload::{change, next},
};
use crate::{
    connection::Caller,
    status::{internal, invalid, status, unsupported},
};

/// Rows that cross at once.
const ROWS: usize = 16_384;

/// Puts the rows that a client sends into a table, and tells how many there were.
pub(super) async fn ingest(
    caller: &Caller,
    command: CommandStatementIngest,
    batches: FlightRecordBatchStream,
) -> Result<i64, Status> {
    if let Some(option) = command.options.keys().next() {
        return Err(invalid(format!("there is no ingest option {option:?}")));
    }
    let target = Target::of(&command, caller.session.ingest_sql())?;
    transaction::enter(caller, command.transaction_id.as_ref()).await?;
    let own = caller.clone();
    transaction::together(caller, async move { fill(&own, &target, batches).await }).await
}

/// Where the rows go.
struct Target {
    dialect: IngestSql,
    /// As it is written in SQL.
    table: String,
    /// What the new table is called in SQL, where one is made.
    made: String,
    temporary: bool,
    if_missing: TableNotExistOption,
    if_there: TableExistsOption,
}

impl Target {
    fn of(command: &CommandStatementIngest, dialect: IngestSql) -> Result<Self, Status> {
        let options = command.table_definition_options.unwrap_or(TableDefinitionOptions {
            if_not_exist: TableNotExistOption::Unspecified.into(),
            if_exists: TableExistsOption::Unspecified.into(),
        });
        let (if_missing, if_there) = (options.if_not_exist(), options.if_exists());
        if if_missing == TableNotExistOption::Unspecified || if_there == TableExistsOption::Unspecified {
            return Err(invalid("an ingest says what to do where the table exists, and where it does not"));
        }
        if if_missing == TableNotExistOption::Fail && if_there == TableExistsOption::Fail {
            return Err(invalid("this ingest would fail whether the table exists or not"));
        }
        let named = |part: &Option<String>| part.clone().filter(|part| !part.is_empty());
        let (catalog, schema) = (named(&command.catalog), named(&command.schema));
        let name = quoted(&command.table);
        if command.temporary {
            if catalog.is_some() || schema.is_some() {
                return Err(invalid("a temporary table has no catalog or schema of its own: leave them out"));
            }
            let table = format!("{}.{name}", dialect.temporary);
            return Ok(Self { dialect, table, made: name, temporary: true, if_missing, if_there });
        }
        let schema = schema.or_else(|| catalog.as_ref().map(|_| dialect.schema.to_owned())).unwrap_or_default();
        let table = CatalogSql::name([&catalog.unwrap_or_default(), &schema, &command.table]);
        Ok(Self { dialect, made: table.clone(), table, temporary: false, if_missing, if_there })
    }

    /// The statements that make the table; none: it has to be there.
    fn definition(&self, schema: &Schema) -> Result<Vec<String>, Status> {
        let what = if self.temporary { "TEMPORARY TABLE" } else { "TABLE" };
        let replaces = self.if_there == TableExistsOption::Replace;
        let begin = match (self.if_missing, self.if_there) {
            (TableNotExistOption::Fail, TableExistsOption::Append) => return Ok(Vec::new()),
            _ if replaces && self.dialect.replaces => format!("CREATE OR REPLACE {what}"),
            (_, TableExistsOption::Append) => format!("CREATE {what} IF NOT EXISTS"),
            _ => format!("CREATE {what}"),
        };
        let columns = schema.fields().iter().map(|field| {
            let constraint = if field.is_nullable() { "" } else { " NOT NULL" };
            Ok(format!("{} {}{constraint}", quoted(field.name()), self.column_type(field.data_type())?))
        });
        let columns: Vec<_> = columns.collect::<Result<_, Status>>()?;
        let create = format!("{begin} {} ({})", self.made, columns.join(", "));
        let drop = (replaces && !self.dialect.replaces).then(|| format!("DROP TABLE IF EXISTS {}", self.table));
        Ok(drop.into_iter().chain([create]).collect())
    }

    /// The statement that puts rows into the table.
    fn insertion(&self, schema: &Schema) -> Result<String, Status> {
        let names: Vec<_> = schema.fields().iter().map(|field| quoted(field.name())).collect();
        let into = format!("INSERT INTO {} ({})", self.table, names.join(", "));
        if self.dialect.rows == IngestRows::AsParameters {
            return Ok(format!("{into} VALUES ({})", vec!["?"; names.len()].join(", ")));
        }
        let members = schema
            .fields()
            .iter()
            .map(|field| Ok(format!("{} {}", quoted(field.name()), self.column_type(field.data_type())?)));
        let members: Vec<_> = members.collect::<Result<_, Status>>()?;
        let values: Vec<_> = names.iter().map(|name| format!("r.{name}")).collect();
        let (values, members) = (values.join(", "), members.join(", "));
        Ok(format!("{into} SELECT {values} FROM (SELECT unnest(CAST($1 AS STRUCT({members})[])) AS r)"))
    }

    fn column_type(&self, kind: &DataType) -> Result<String, Status> {
        let no_type = || unsupported(format!("the Arrow type {kind} is not supported in a new table"));
        (self.dialect.column_type)(kind).ok_or_else(no_type)
    }

    /// Rows as the statement's parameters.
    fn parameters(&self, schema: &SchemaRef, rows: &RecordBatch) -> Result<RecordBatch, Status> {
        match self.dialect.rows {
            IngestRows::AsList => list(schema, rows),
            IngestRows::AsParameters => numbered(rows),
        }
    }
}

async fn fill(caller: &Caller, target: &Target, mut batches: FlightRecordBatchStream) -> Result<i64, Status> {
    let mut batch = next(&mut batches).await?;
    let schema = batches.schema().cloned().ok_or_else(|| invalid("an ingest without a schema"))?;
    if schema.fields().is_empty() {
        return Err(invalid("an ingest without columns"));
    }
    if target.if_missing == TableNotExistOption::Fail {
        let sql = format!("SELECT * FROM {} LIMIT 0", target.table);
        let there = caller.session.prepare(&sql).await.map_err(status)?;
        caller.session.forget(there.id).await;
    }
    for sql in target.definition(&schema)? {
        transaction::execute(caller, &sql).await?;
    }
    let sql = target.insertion(&schema)?;
    let prepared = caller.session.prepare(&sql).await.map_err(status)?.id;
    let mut count = 0;
    let filled = loop {
        let Some(rows) = batch else { break Ok(count) };
        match insert(caller, target, (prepared, &sql), &rows).await {
            Ok(inserted) => count += inserted,
            Err(error) => break Err(error),
        }
        match next(&mut batches).await {
            Ok(next) => batch = next,
            Err(error) => break Err(error),
        }
    };
    caller.session.forget(prepared).await;
    filled
}

async fn insert(
    caller: &Caller,
    target: &Target,
    (prepared, sql): (PreparedId, &str),
    batch: &RecordBatch,
) -> Result<i64, Status> {
    let (mut count, schema) = (0, batch.schema());
    for offset in (0..batch.num_rows()).step_by(ROWS) {
        let rows = batch.slice(offset, ROWS.min(batch.num_rows() - offset));
        let request = StatementRequest {
            sql: sql.to_owned(),
            prepared: Some(prepared),
            parameters: Some(target.parameters(&schema, &rows)?),
            ..StatementRequest::default()
        };
        count += change(caller, request).await?;
    }
    Ok(count)
}

/// A batch as one value: a list of structs.
fn list(schema: &SchemaRef, rows: &RecordBatch) -> Result<RecordBatch, Status> {
    let bad = |error| internal(format!("failed to pack rows: {error}"));
    let structs = StructArray::try_new(schema.fields().clone(), rows.columns().to_vec(), None).map_err(bad)?;
    let item = Arc::new(Field::new("item", structs.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([structs.len()]);
    let list = ListArray::try_new(item, offsets, Arc::new(structs), None).map_err(bad)?;
    RecordBatch::try_from_iter([("1", Arc::new(list) as ArrayRef)]).map_err(bad)
}
