//! Operations that change rows.
//!
//! Each is one commit. One at a time writes to a table here; whoever writes beside us is met at the commit: an operation
//! that lost is done again on what is there then, a few times.

use std::{future::Future, sync::Arc, time::Duration};

use dbmux_engine::EngineError;
use lancedb::arrow::{
    arrow::compute::{CastOptions, cast_with_options},
    arrow_array::{RecordBatch, RecordBatchIterator},
    arrow_schema::Schema,
};

use crate::{
    errors,
    ffi::TheirBatch,
    maintain, merged, names,
    opened::{Opened, Writable},
    operations::{Delete, MergeInsert, Operation, Update},
    wait::{Running, Work},
};

/// How often an operation is tried that loses to another writer; each time Lance itself tries several times, for up to 30 s.
const ATTEMPTS: u32 = 5;
/// The wait before the second attempt; it doubles.
const PAUSE: Duration = Duration::from_millis(20);

/// Appends the rows of one statement, or of several, or merges them in. Answers with how many were changed: of upserts, as
/// many as they were given.
pub(crate) async fn with_rows(
    opened: &Opened,
    running: &Running,
    operation: &Operation,
    rows: &[TheirBatch],
) -> Result<u64, EngineError> {
    let writable = opened.table(operation.table().unwrap_or_default()).await?;
    if let Some(first) = rows.first() {
        names::known(&writable.table, first.schema().fields().iter().map(|field| field.name().as_str())).await?;
    }
    match operation {
        Operation::Add(_) => add(opened, running, &writable, merged::all(rows)?).await,
        Operation::MergeInsert(merge) => merge_insert(opened, running, &writable, merge, rows).await,
        other => Err(EngineError::Internal { message: format!("{other:?} takes no rows") }),
    }
}

async fn add(
    opened: &Opened,
    running: &Running,
    writable: &Arc<Writable>,
    rows: TheirBatch,
) -> Result<u64, EngineError> {
    let count = rows.num_rows() as u64;
    if count == 0 {
        return Ok(0);
    }
    let attempt = || writable.table.add(rows.clone()).execute();
    in_turn(opened, running, writable, Work::Detached, attempt).await?;
    Ok(count)
}

async fn merge_insert(
    opened: &Opened,
    running: &Running,
    writable: &Arc<Writable>,
    merge: &MergeInsert,
    rows: &[TheirBatch],
) -> Result<u64, EngineError> {
    let given = rows.iter().map(|batch| batch.num_rows() as u64).sum();
    // Compared as the table has them: what differs as it was given may be one key there.
    let schema = writable.table.schema().await.map_err(|error| opened.error(error))?;
    let fitted: Vec<_> = rows.iter().map(|batch| fitted(&schema, batch)).collect::<Result<_, _>>()?;
    let rows = merged::last_of_each(&merge.on, &fitted)?;
    let on: Vec<&str> = merge.on.iter().map(String::as_str).collect();
    let attempt = || {
        let mut builder = writable.table.merge_insert(&on);
        if merge.when_matched.is_some() {
            builder.when_matched_update_all(merge.when_matched_if.clone());
        }
        if merge.when_not_matched.is_some() {
            builder.when_not_matched_insert_all();
        }
        if let Some(filter) = &merge.delete_unmatched_where {
            builder.when_not_matched_by_source_delete(Some(filter.clone()));
        }
        let schema = rows.schema();
        builder.execute(Box::new(RecordBatchIterator::new([Ok(rows.clone())], schema)))
    };
    let done = in_turn(opened, running, writable, Work::Ends, attempt).await?;
    if merge.is_upsert() {
        return Ok(given);
    }
    Ok(done.num_inserted_rows + done.num_updated_rows + done.num_deleted_rows)
}

/// The rows with the types of the table's columns: LanceDB itself converts them for an `add`, and not for this.
fn fitted(schema: &Schema, rows: &RecordBatch) -> Result<RecordBatch, EngineError> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let Ok(wanted) = schema.field_with_name(field.name()) else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
            continue;
        };
        let fitted = cast_with_options(column, wanted.data_type(), &options)
            .map_err(|error| errors::sql("42804", format!("column \"{}\": {error}", field.name())))?;
        fields.push(Arc::new(field.as_ref().clone().with_data_type(wanted.data_type().clone())));
        columns.push(fitted);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|error| errors::sql("42804", error.to_string()))
}

/// Sets columns. Answers with how many rows it was.
pub(crate) async fn update(opened: &Opened, running: &Running, update: &Update) -> Result<u64, EngineError> {
    let writable = opened.table(&update.table).await?;
    names::known(&writable.table, update.set.keys().map(String::as_str)).await?;
    let attempt = || {
        let mut builder = writable.table.update();
        if let Some(filter) = &update.filter {
            builder = builder.only_if(filter);
        }
        update.set.iter().fold(builder, |builder, (column, value)| builder.column(column, value)).execute()
    };
    Ok(in_turn(opened, running, &writable, Work::Ends, attempt).await?.rows_updated)
}

/// Deletes rows. Answers with how many.
pub(crate) async fn delete(opened: &Opened, running: &Running, delete: &Delete) -> Result<u64, EngineError> {
    let writable = opened.table(&delete.table).await?;
    let attempt = || writable.table.delete(delete.filter.as_str());
    Ok(in_turn(opened, running, &writable, Work::Ends, attempt).await?.num_deleted_rows)
}

/// Does one operation on a table when its turn has come.
async fn in_turn<T, F>(
    opened: &Opened,
    running: &Running,
    writable: &Arc<Writable>,
    work_is: Work,
    attempt: impl Fn() -> F,
) -> Result<T, EngineError>
where
    F: Future<Output = lancedb::Result<T>>,
{
    let turn = async {
        let turn = writable.turn.lock().await;
        if opened.options.as_owner {
            tokio::time::sleep(writable.committer.room_for_others()).await;
        }
        Ok(turn)
    };
    let _turn = running.lightly(turn).await?;
    if let Some(fault) = writable.fault.lock().take() {
        return Err(fault);
    }
    let work = async {
        let mut pause = PAUSE;
        for _ in 1..ATTEMPTS {
            match attempt().await {
                Err(error) if opened.options.as_owner && errors::is_conflict(&error) => {
                    tracing::debug!(%error, "another writer was first: once more");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                outcome => return outcome.map_err(|error| opened.error(error)),
            }
        }
        attempt().await.map_err(|error| opened.error(error))
    };
    let done = running.committing(&writable.committer, work_is, work).await?;
    if opened.options.as_owner {
        maintain::keep_few_files(running, writable).await;
    }
    Ok(done)
}
