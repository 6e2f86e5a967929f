//! Writes of many statements, in one commit: appends, and upserts.
//!
//! All or nothing, and as if they had come one after the other. What differs in its columns, or cannot be told to come to
//! the same, is declined, and the caller runs it by itself.

use dbmux_engine::{EngineError, InsertShape, Parameters};
use lancedb::arrow::arrow::compute::concat_batches;

use crate::{
    errors,
    ffi::{self, TheirBatch},
    keys,
    operations::{MergeInsert, Operation, Table},
    session::is_operation,
};

/// The shape of a statement that appends rows, or upserts them, and does nothing else. Its columns are an upsert's key.
pub(crate) fn shape(text: &str) -> Option<InsertShape> {
    // Most statements are told by a look: a vector need not be read for it.
    if !is_operation(text) || !(text.contains("\"add\"") || text.contains("\"merge_insert\"")) {
        return None;
    }
    let (table, columns) = match Operation::read(text).ok()? {
        Operation::Add(Table { table }) => (table, Vec::new()),
        Operation::MergeInsert(merge) if merge.is_upsert() && !merge.on.is_empty() => (merge.table, merge.on),
        _ => return None,
    };
    Some(InsertShape { table, columns, width: 0 })
}

/// What statements of a shape do.
pub(crate) fn operation(shape: &InsertShape) -> Operation {
    let InsertShape { table, columns, .. } = shape.clone();
    if columns.is_empty() {
        Operation::Add(Table { table })
    } else {
        Operation::MergeInsert(MergeInsert::upsert(table, columns))
    }
}

/// The rows of each statement.
pub(crate) fn rows(shape: &InsertShape, given: &[(&str, Option<&Parameters>)]) -> Result<Vec<TheirBatch>, EngineError> {
    let mut rows: Vec<TheirBatch> = Vec::with_capacity(given.len());
    for (text, parameters) in given {
        if self::shape(text).as_ref() != Some(shape) {
            return Err(declined("they are not of one shape"));
        }
        let batch = ffi::batch_to_theirs(some_rows(*parameters)?)?;
        if rows.first().is_some_and(|first| first.schema().fields() != batch.schema().fields()) {
            return Err(declined("their columns differ"));
        }
        rows.push(batch);
    }
    Ok(rows)
}

/// What is appended for all of them.
pub(crate) fn all(rows: &[TheirBatch]) -> Result<TheirBatch, EngineError> {
    match rows {
        [] => Err(declined("there are none")),
        [one] => Ok(one.clone()),
        [first, ..] => concat_batches(&first.schema(), rows).map_err(|error| errors::internal(&error)),
    }
}

/// What is merged in for all of them: of each key the row that came last. Their types are those of the table already.
pub(crate) fn last_of_each(on: &[String], rows: &[TheirBatch]) -> Result<TheirBatch, EngineError> {
    for batch in rows {
        keys::check_each_once(on, batch)?;
    }
    let all = all(rows)?;
    if rows.len() > 1 && keys::has_null(on, &all)? {
        return Err(declined("a key is NULL"));
    }
    if rows.len() > 1 { keys::last_of_each(on, &all) } else { Ok(all) }
}

/// The rows that an operation is given.
pub(crate) fn some_rows(given: Option<&Parameters>) -> Result<&Parameters, EngineError> {
    let missing = || errors::sql("07001", "the rows are the statement's parameters, and there are none");
    if_any(given).ok_or_else(missing)
}

/// Parameters without a column are none.
pub(crate) fn if_any(given: Option<&Parameters>) -> Option<&Parameters> {
    given.filter(|given| given.num_columns() > 0)
}

/// "Run them one by one."
fn declined(why: &str) -> EngineError {
    EngineError::Unsupported {
        what: "writing these rows at once".to_owned(),
        why: format!("{why}: write them one by one"),
    }
}
