//! What sessions say to LanceDB: operations, with rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use dbmux_client::Statement;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Said;

/// The tables that are written to, and by which columns each is read in order.
pub(super) const TABLES: [(&str, &str); 2] = [("keyed", "1, 2, 3"), ("loose", "1, 2, 3")];

/// A row of either table.
type Row = (i64, Option<String>, Option<i64>);

/// One thing that a session does. Numbers are its own: the session's number stands in front of them.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Appends a row: committed together with others.
    Add(u16, Option<String>, Option<i64>),
    /// Appends two.
    AddTwo(u16),
    /// Updates the row with this key, or inserts it.
    Merge(u16, Option<String>),
    /// Inserts the row, where its key is not there.
    MergeNew(u16, String),
    /// The same of a row that is there already, or that another session may write too.
    Shared(u16),
    /// Two rows, and both or one of them may be there.
    MergeTwo(u16),
    Update(u16),
    Delete(u16),
    Wrong(Wrong),
}

/// What cannot be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wrong {
    Table,
    Column,
    Operation,
    Condition,
    /// Two rows of one key.
    Twice,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let number = 0_u16..12;
    let word = proptest::option::of("[a-z' ]{0,7}");
    let small = proptest::option::of(-3_i64..3);
    let wrong =
        prop::sample::select(vec![Wrong::Table, Wrong::Column, Wrong::Operation, Wrong::Condition, Wrong::Twice]);
    prop_oneof![
        9 => (number.clone(), word.clone(), small).prop_map(|(n, word, small)| Step::Add(n, word, small)),
        2 => number.clone().prop_map(Step::AddTwo),
        5 => (number.clone(), word).prop_map(|(n, word)| Step::Merge(n, word)),
        3 => (number.clone(), "[a-z]{0,7}").prop_map(|(n, word)| Step::MergeNew(n, word)),
        4 => (0_u16..20).prop_map(Step::Shared),
        1 => number.clone().prop_map(Step::MergeTwo),
        1 => number.clone().prop_map(Step::Update),
        1 => number.prop_map(Step::Delete),
        2 => wrong.prop_map(Step::Wrong),
    ]
}

impl Step {
    /// The operation, for this session, at this place in its script.
    pub(super) fn statement(&self, session: usize, at: usize) -> Said {
        let own = i64::try_from(10_000 * (session + 1)).expect("a small number");
        let id = |n: &u16| own + i64::from(*n);
        let fresh = own + 100 + i64::try_from(at).expect("a small number");
        let word = |word: &str| Some(word.to_owned());
        let merge = |when_matched| json!({"table": "keyed", "on": ["id"], "when_matched": when_matched});
        let (update, keep) = (Value::from("update_all"), Value::Null);
        match self {
            Self::Add(n, word, small) => rows("add", json!({"table": "loose"}), &[(id(n), word.clone(), *small)]),
            Self::AddTwo(n) => rows("add", json!({"table": "loose"}), &[(id(n), word("a"), None), (id(n), None, None)]),
            Self::Merge(n, word) => rows("merge_insert", merge(update), &[(id(n), word.clone(), Some(1))]),
            Self::MergeNew(n, text) => rows("merge_insert", merge(keep), &[(id(n), word(text), Some(2))]),
            Self::Shared(n) => rows("merge_insert", merge(keep), &[(995 + i64::from(*n), word("all"), None)]),
            Self::MergeTwo(n) => {
                rows("merge_insert", merge(update), &[(fresh, word("a"), None), (id(n), word("b"), Some(3))])
            }
            Self::Update(n) => {
                let set = json!({"word": "concat(word, 'u')", "n": "n + 1"});
                plain(json!({"update": {"table": "keyed", "where": format!("id = {}", id(n)), "set": set}}))
            }
            Self::Delete(n) => plain(json!({"delete": {"table": "loose", "where": format!("id = {}", id(n))}})),
            Self::Wrong(Wrong::Table) => rows("add", json!({"table": "missing"}), &[(1, None, None)]),
            Self::Wrong(Wrong::Column) => plain(json!({"update": {"table": "keyed", "set": {"nothing": "1"}}})),
            Self::Wrong(Wrong::Operation) => plain(json!({"launch": {}})),
            Self::Wrong(Wrong::Condition) => plain(json!({"delete": {"table": "keyed", "where": "id = "}})),
            Self::Wrong(Wrong::Twice) => {
                rows("merge_insert", merge(update), &[(fresh, None, None), (fresh, None, None)])
            }
        }
    }
}

/// Makes the tables anew.
pub(super) fn make_tables() -> Vec<Statement> {
    let columns = json!([
        {"name": "id", "type": "int64", "nullable": false}, {"name": "word", "type": "string"}, {"name": "n", "type": "int64"}
    ]);
    let make = |(table, _)| {
        let make = json!({"create_table": {"table": table, "schema": columns, "if_exists": "overwrite"}});
        Statement::new(make.to_string())
    };
    let old: Vec<Row> = (1000..1010).map(|id| (id, Some("old".to_owned()), Some(1))).collect();
    TABLES.into_iter().map(make).chain([rows("add", json!({"table": "keyed"}), &old).1]).collect()
}

fn plain(operation: Value) -> Said {
    (operation.to_string(), Statement::new(operation.to_string()))
}

fn rows(name: &str, arguments: Value, rows: &[Row]) -> Said {
    let operation = Value::from_iter([(name, arguments)]).to_string();
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("id", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()), false),
        ("word", Arc::new(rows.iter().map(|row| row.1.as_deref()).collect::<StringArray>()), true),
        ("n", Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()), true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length");
    (format!("{operation} {rows:?}"), Statement::new(operation).rows(batch))
}
