//! Plain inserts of one shape as statements of many rows.
//!
//! Each statement in a transaction begins with a savepoint, at which a full-text index writes what it has gathered so far as
//! a segment of its own (`fts5SavepointMethod` in SQLite's `fts5_main.c`): sixteen statements make sixteen segments, which
//! are merged later, and one statement of sixteen rows makes one. A statement with triggers is also long to prepare.
//!
//! The rows are literals and parameters, so that it makes no difference whether one of them is looked at before another one
//! is inserted.

use std::{iter, sync::Arc};

use dbmux_engine::{
    EngineError, InsertShape, Parameters,
    insert::{Insert, Item},
};

use crate::{connection::Connection, parameters};

/// Rows in one statement, at most: a connection keeps one prepared for each number of them.
const MOST: usize = 16;

/// A row that may stand beside others.
pub(crate) struct Row<'a> {
    values: Vec<Item<'a>>,
    parameters: Option<&'a Parameters>,
}

impl<'a> Row<'a> {
    /// `None`: its parameters are not one row of values in the order of their places.
    pub(crate) fn of(insert: &Insert<'a>, parameters: Option<&'a Parameters>) -> Option<Self> {
        let values = insert.values.clone();
        let row = Self { values, parameters: parameters.filter(|given| given.num_columns() > 0) };
        let places = row.values.iter().filter_map(|value| match value {
            Item::Parameter(number) => Some(*number),
            Item::Literal(_) => None,
        });
        let fits = places.eq(1..=row.width()) && row.parameters.is_none_or(parameters::is_one_row_by_position);
        fits.then_some(row)
    }

    /// How many parameters it has.
    fn width(&self) -> usize {
        self.parameters.map_or(0, |given| given.num_columns())
    }

    fn is_all_parameters(&self) -> bool {
        self.width() == self.values.len()
    }
}

/// Inserts all of them, in their order. Answers with how many rows that has made; `None`: what a trigger does depends on
/// whether they come in one statement. Some of them may be there then, and are to be rolled back; as when it fails.
pub(crate) fn insert(
    connection: &mut Connection,
    shape: &InsertShape,
    rows: &[Row<'_>],
) -> Result<Option<i64>, EngineError> {
    let mut changed = 0;
    for rows in rows.chunks(MOST) {
        let text: Arc<str> = text(shape, rows).into();
        let mut statement = connection.statement(&text)?;
        let mut before = 0;
        for row in rows {
            if let Some(given) = row.parameters {
                parameters::bind_behind(&mut statement, before, given).map_err(|error| connection.bind_error(error))?;
            }
            before += row.width();
        }
        while statement.step().map_err(|failure| connection.error(&failure))? {}
        changed += connection.handle.changes();
        // SQLite may have prepared it anew just now.
        if connection.watch.noted().asks_last_inside {
            return Ok(None);
        }
        // Those with literals do not come again.
        if rows.iter().all(Row::is_all_parameters) {
            connection.keep(&text, statement);
        }
    }
    Ok(Some(changed))
}

fn text(shape: &InsertShape, rows: &[Row<'_>]) -> String {
    let mut text = format!("INSERT INTO {} ", shape.table);
    if !shape.columns.is_empty() {
        push_list(&mut text, shape.columns.iter().map(String::as_str));
    }
    text.push_str("VALUES ");
    let separators = iter::once("").chain(iter::repeat(", "));
    for (separator, row) in separators.zip(rows) {
        text.push_str(separator);
        push_list(
            &mut text,
            row.values.iter().map(|value| match value {
                Item::Literal(written) => written,
                Item::Parameter(_) => "?",
            }),
        );
    }
    text
}

fn push_list<'a>(text: &mut String, items: impl Iterator<Item = &'a str>) {
    let separators = iter::once("(").chain(iter::repeat(", "));
    for (separator, item) in separators.zip(items) {
        text.push_str(separator);
        text.push_str(item);
    }
    text.push(')');
}
