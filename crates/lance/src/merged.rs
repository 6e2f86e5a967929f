//! Appends of many statements, in one commit.
//!
//! All or nothing. What differs in its columns is declined, and the caller runs it by itself.

use arrow::{array::RecordBatch, compute::concat_batches};
use dbmux_engine::{EngineError, InsertShape, Parameters};

use crate::{
    errors,
    operations::{Operation, Table},
    session::is_operation,
};

/// The shape of a statement that appends rows, and does nothing else.
pub(crate) fn shape(text: &str) -> Option<InsertShape> {
    // Most statements are told by a look: a vector need not be read for it.
    if !is_operation(text) || !text.contains("\"add\"") {
        return None;
    }
    match Operation::read(text) {
        Ok(Operation::Add(Table { table })) => Some(InsertShape { table, columns: Vec::new(), width: 0 }),
        _ => None,
    }
}

/// What statements of a shape do.
pub(crate) fn operation(shape: &InsertShape) -> Operation {
    Operation::Add(Table { table: shape.table.clone() })
}

/// All rows of the statements.
pub(crate) fn together(shape: &InsertShape, rows: &[(&str, Option<&Parameters>)]) -> Result<RecordBatch, EngineError> {
    let mut given = Vec::with_capacity(rows.len());
    for (text, parameters) in rows {
        if self::shape(text).as_ref() != Some(shape) {
            return Err(declined("they are not of one shape"));
        }
        let missing = || errors::sql("07001", "the rows are the statement's parameters, and there are none");
        given.push(parameters.filter(|given| given.num_columns() > 0).ok_or_else(missing)?);
    }
    let Some(first) = given.first() else {
        return Err(declined("there are none"));
    };
    let schema = first.schema();
    if given.iter().any(|batch| batch.schema().fields() != schema.fields()) {
        return Err(declined("their columns differ"));
    }
    concat_batches(&schema, given).map_err(|error| errors::internal(&error))
}

/// "Run them one by one."
fn declined(why: &str) -> EngineError {
    EngineError::Unsupported {
        what: "adding these rows at once".to_owned(),
        why: format!("{why}: add them one by one"),
    }
}
