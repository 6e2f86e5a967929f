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

/// All rows of the statements.
pub(crate) fn together(shape: &InsertShape, rows: &[(&str, Option<&Parameters>)]) -> Result<TheirBatch, EngineError> {
    let mut given = Vec::with_capacity(rows.len());
    for (text, parameters) in rows {
        if self::shape(text).as_ref() != Some(shape) {
            return Err(declined("they are not of one shape"));
        }
        given.push(ffi::batch_to_theirs(some_rows(*parameters)?)?);
    }
    let Some(first) = given.first() else {
        return Err(declined("there are none"));
    };
    let schema = first.schema();
    if given.iter().any(|batch| batch.schema().fields() != schema.fields()) {
        return Err(declined("their columns differ"));
    }
    let all = concat_batches(&schema, &given).map_err(|error| errors::internal(&error))?;
    if shape.columns.is_empty() || given.len() == 1 {
        return Ok(all);
    }
    for batch in &given {
        keys::check_each_once(&shape.columns, batch)?;
    }
    if keys::has_null(&shape.columns, &all)? {
        return Err(declined("a key is NULL"));
    }
    keys::last_of_each(&shape.columns, &all)
}

/// The rows that an operation is given.
pub(crate) fn some_rows(given: Option<&Parameters>) -> Result<&Parameters, EngineError> {
    let missing = || errors::sql("07001", "the rows are the statement's parameters, and there are none");
    given.filter(|given| given.num_columns() > 0).ok_or_else(missing)
}

/// "Run them one by one."
fn declined(why: &str) -> EngineError {
    EngineError::Unsupported {
        what: "writing these rows at once".to_owned(),
        why: format!("{why}: write them one by one"),
    }
}
