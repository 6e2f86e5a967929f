//! Rows into a table, made where it is not there: all of them, or none.
//!
//! A batch crosses as one parameter, a list of structs, that the engine unpacks again: about as fast as its own bulk
//! loading, where one `INSERT` a row would take a thousand times as long.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, ListArray, RecordBatch, StructArray},
    buffer::OffsetBuffer,
    datatypes::{Field, Schema, SchemaRef},
};
use arrow_flight::{
    decode::FlightRecordBatchStream,
    sql::{CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption},
};
use dbmux_engine::{PreparedId, StatementRequest};
use tonic::Status;

use super::{
    sql_type::{quoted, sql_type},
    transaction,
    upload::{change, next},
};
use crate::{
    connection::Caller,
    status::{internal, invalid, status},
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
    let target = Target::of(&command)?;
    transaction::enter(caller, command.transaction_id.as_ref()).await?;
    let own = caller.clone();
    transaction::together(caller, async move { fill(&own, &target, batches).await }).await
}

/// Where the rows go.
struct Target {
    /// As it is written in SQL.
    table: String,
    /// What the new table is called in SQL, where one is made.
    made: String,
    temporary: bool,
    if_missing: TableNotExistOption,
    if_there: TableExistsOption,
}

impl Target {
    fn of(command: &CommandStatementIngest) -> Result<Self, Status> {
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
            let table = format!("temp.main.{name}");
            return Ok(Self { table, made: name, temporary: true, if_missing, if_there });
        }
        let table = match (catalog, schema) {
            (None, None) => name,
            (None, Some(schema)) => format!("{}.{name}", quoted(&schema)),
            (Some(catalog), schema) => {
                format!("{}.{}.{name}", quoted(&catalog), quoted(schema.as_deref().unwrap_or("main")))
            }
        };
        Ok(Self { made: table.clone(), table, temporary: false, if_missing, if_there })
    }

    /// The statement that makes the table; `None`: it has to be there.
    fn definition(&self, schema: &Schema) -> Result<Option<String>, Status> {
        let what = if self.temporary { "TEMPORARY TABLE" } else { "TABLE" };
        let (begin, end) = match (self.if_missing, self.if_there) {
            (TableNotExistOption::Fail, TableExistsOption::Append) => return Ok(None),
            (_, TableExistsOption::Replace) => (format!("CREATE OR REPLACE {what}"), ""),
            (_, TableExistsOption::Append) => (format!("CREATE {what}"), " IF NOT EXISTS"),
            _ => (format!("CREATE {what}"), ""),
        };
        let columns = schema.fields().iter().map(|field| {
            let constraint = if field.is_nullable() { "" } else { " NOT NULL" };
            Ok(format!("{} {}{constraint}", quoted(field.name()), sql_type(field.data_type())?))
        });
        let columns: Vec<_> = columns.collect::<Result<_, Status>>()?;
        Ok(Some(format!("{begin}{end} {} ({})", self.made, columns.join(", "))))
    }

    /// The statement that puts a list of rows into the table.
    fn insertion(&self, schema: &Schema) -> Result<String, Status> {
        let names: Vec<_> = schema.fields().iter().map(|field| quoted(field.name())).collect();
        let members = schema
            .fields()
            .iter()
            .map(|field| Ok(format!("{} {}", quoted(field.name()), sql_type(field.data_type())?)));
        let members: Vec<_> = members.collect::<Result<_, Status>>()?;
        let values: Vec<_> = names.iter().map(|name| format!("r.{name}")).collect();
        Ok(format!(
            "INSERT INTO {} ({}) SELECT {} FROM (SELECT unnest(CAST($1 AS STRUCT({})[])) AS r)",
            self.table,
            names.join(", "),
            values.join(", "),
            members.join(", "),
        ))
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
    if let Some(sql) = target.definition(&schema)? {
        transaction::execute(caller, &sql).await?;
    }
    let sql = target.insertion(&schema)?;
    let prepared = caller.session.prepare(&sql).await.map_err(status)?.id;
    let mut count = 0;
    let filled = loop {
        let Some(rows) = batch else { break Ok(count) };
        match insert(caller, prepared, &sql, &schema, &rows).await {
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
    prepared: PreparedId,
    sql: &str,
    schema: &SchemaRef,
    batch: &RecordBatch,
) -> Result<i64, Status> {
    let mut count = 0;
    for offset in (0..batch.num_rows()).step_by(ROWS) {
        let rows = batch.slice(offset, ROWS.min(batch.num_rows() - offset));
        let request = StatementRequest {
            sql: sql.to_owned(),
            prepared: Some(prepared),
            parameters: Some(list(schema, &rows)?),
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
