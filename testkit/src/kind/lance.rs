//! What is said to LanceDB: operations, with rows as their parameters.

use std::{
    io::Write,
    process::{Output, Stdio},
    sync::Arc,
};

use dbmux_client::{
    Statement,
    arrow::array::{ArrayRef, Int64Array, RecordBatch},
};
use serde_json::{Map, Value, json};

use super::Table;
use crate::{Foreign, Place};

pub(super) fn create(table: Table) -> String {
    let columns = table.columns.iter().map(|column| json!({"name": column, "type": "int64"})).collect::<Vec<_>>();
    json!({"create_table": {"table": table.name, "schema": columns}}).to_string()
}

/// Appends: the broker commits such ones together.
pub(super) fn add(table: Table, rows: &[&[i64]]) -> Statement {
    Statement::new(json!({"add": {"table": table.name}}).to_string()).rows(batch(table, rows))
}

/// One row so many times, in a table of one column.
pub(super) fn add_often(table: Table, value: i64, times: u64) -> Statement {
    let times = usize::try_from(times).expect("a number of rows");
    let column: ArrayRef = Arc::new(Int64Array::from_value(value, times));
    let rows = RecordBatch::try_from_iter([(table.columns[0], column)]).expect("one column");
    Statement::new(json!({"add": {"table": table.name}}).to_string()).rows(rows)
}

/// Updates the row of this key, or inserts it. The first column is the key.
pub(super) fn merge(table: Table, row: &[i64]) -> Statement {
    let merge = json!({"merge_insert": {"table": table.name, "on": [table.columns[0]]}});
    Statement::new(merge.to_string()).rows(batch(table, &[row]))
}

/// Inserts the row, unless its key is there.
pub(super) fn merge_new(table: Table, row: &[i64]) -> Statement {
    let merge = json!({"merge_insert": {"table": table.name, "on": [table.columns[0]], "when_matched": null}});
    Statement::new(merge.to_string()).rows(batch(table, &[row]))
}

pub(super) fn delete_all(table: Table) -> String {
    json!({"delete": {"table": table.name, "where": "true"}}).to_string()
}

pub(super) fn add_by_process(place: &Place, database: &str, table: Table, rows: &[&[i64]]) -> Output {
    let mut command = place.dbmux(["vectors", database, "add", table.name, "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut adding = command.spawn().expect("dbmux starts");
    let mut input = adding.stdin.take().expect("its input");
    input.write_all(as_json(table, rows).to_string().as_bytes()).expect("it listens");
    drop(input);
    adding.wait_with_output().expect("its end")
}

/// Rows as JSON has them, and Python.
pub(crate) fn as_json(table: Table, rows: &[&[i64]]) -> Value {
    let row = |row: &&[i64]| {
        let values = table.columns.iter().zip(*row).map(|(column, value)| ((*column).to_owned(), Value::from(*value)));
        Value::Object(values.collect::<Map<_, _>>())
    };
    rows.iter().map(row).collect()
}

fn batch(table: Table, rows: &[&[i64]]) -> RecordBatch {
    let column = |(at, name): (usize, &&'static str)| {
        let values: ArrayRef = Arc::new(rows.iter().map(|row| row[at]).collect::<Int64Array>());
        (*name, values)
    };
    RecordBatch::try_from_iter(table.columns.iter().enumerate().map(column)).expect("columns of one length")
}

/// No version names what is not there, and the table can be brought into order.
pub(super) fn check(tool: &mut Foreign) {
    for look in [
        "[(lambda t, v: (t.checkout(v['version']), t.to_arrow().num_rows))(connection.open_table('t'), v) and None \
         for v in connection.open_table('t').list_versions()] and None",
        "connection.open_table('t').optimize() and None",
        "connection.open_table('t').to_arrow() and None",
    ] {
        let answer = tool.tell(look);
        assert!(answer.starts_with("ok"), "{look}: {answer}");
    }
}
