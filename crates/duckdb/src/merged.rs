//! Rows of many single-row inserts, in one statement.
//!
//! All or nothing, and never other than one by one: what is in doubt is declined, and the caller runs it by itself.

use std::collections::HashMap;

use dbmux_engine::{EngineError, InsertShape, Parameters};

use crate::{
    errors,
    ffi::{Cell, Connection, Failure, Statement, Value},
    insert::{self, Insert, Item},
    parameters,
};

/// Shapes of inserts whose statements are kept parsed.
const KEPT: usize = 64;

/// The parsed statements of one connection's merged inserts, by their shape.
#[derive(Default)]
pub(crate) struct MergedInserts(HashMap<InsertShape, Statement>);

impl MergedInserts {
    /// Inserts a row for each statement, in a transaction of its own. Answers with how many rows each has changed: one.
    pub(crate) fn insert(
        &mut self,
        connection: &Connection,
        shape: &InsertShape,
        rows: &[(&str, Option<&Parameters>)],
    ) -> Result<Vec<i64>, EngineError> {
        let inserts: Option<Vec<_>> = rows.iter().map(|(sql, _)| insert::recognise(sql)).collect();
        let inserts = inserts.filter(|inserts| inserts.iter().all(|insert| insert.shape == *shape));
        let inserts = inserts.ok_or_else(declined)?;
        let values = given(connection, &inserts, rows)?;
        let cells = cells(&inserts, &values);
        let statement = self.statement(connection, shape)?;
        let done = connection.insert_rows(statement, &shape.table, &cells, shape.width).map_err(failed)?;
        if done { Ok(vec![1; rows.len()]) } else { Err(declined()) }
    }

    fn statement(&mut self, connection: &Connection, shape: &InsertShape) -> Result<&Statement, EngineError> {
        if !self.0.contains_key(shape) {
            let mut parsed = connection.parse(&insert::statement(shape)).map_err(failed)?;
            let statement = parsed.pop().filter(|_| parsed.is_empty()).ok_or_else(declined)?;
            if self.0.len() >= KEPT {
                self.0.clear();
            }
            self.0.insert(shape.clone(), statement);
        }
        self.0.get(shape).ok_or_else(declined)
    }
}

/// The parameters' values, in the order in which the rows name them.
fn given(
    connection: &Connection,
    inserts: &[Insert<'_>],
    rows: &[(&str, Option<&Parameters>)],
) -> Result<Vec<Value>, EngineError> {
    let wishes: Vec<_> = items(inserts)
        .filter_map(|(row, item)| match item {
            Item::Parameter(number) => Some((row, number)),
            Item::Literal(_) => None,
        })
        .collect();
    let parameters: Vec<_> = rows.iter().map(|(_, parameters)| *parameters).collect();
    parameters::gather(connection, &parameters, &wishes)?.ok_or_else(declined)
}

/// What goes into the table, row by row.
fn cells<'a>(inserts: &[Insert<'a>], values: &'a [Value]) -> Vec<Cell<'a>> {
    let mut given = values.iter();
    items(inserts)
        .map(|(_, item)| match item {
            Item::Literal(text) => insert::cell(text),
            Item::Parameter(_) => given.next().map_or(Cell::Null, Cell::Value),
        })
        .collect()
}

/// Every value with the number of its row.
fn items<'a>(inserts: &[Insert<'a>]) -> impl Iterator<Item = (usize, Item<'a>)> {
    inserts.iter().enumerate().flat_map(|(row, insert)| insert.values.iter().map(move |item| (row, *item)))
}

/// "Run them one by one."
pub(crate) fn declined() -> EngineError {
    EngineError::Unsupported {
        what: "inserting these rows at once".to_owned(),
        why: "insert them one by one".to_owned(),
    }
}

fn failed(failure: Failure) -> EngineError {
    errors::statement(&failure)
}
