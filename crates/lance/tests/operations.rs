//! Operations that change tables, and those that tell of them.
#![expect(clippy::expect_used, clippy::panic, reason = "a test's own way to fail")]

mod common;

use common::{Place, Session, chunks};
use dbmux_engine::{Access, Engine, EngineError, ResultShape, SessionOptions, StatementKind};

const COUNT: &str = r#"{"count": {"table": "chunks"}}"#;
const ADD: &str = r#"{"add": {"table": "chunks"}}"#;

#[test]
fn rows_are_added_merged_updated_and_deleted() {
    let (place, mut session) = Place::with_chunks(10);
    assert_eq!(session.text(COUNT), "10");
    let merge = r#"{"merge_insert": {"table": "chunks", "on": ["id"]}}"#;
    assert_eq!(session.change(merge, &chunks([8, 9, 10, 11], "second")), "4");
    assert_eq!(session.text(COUNT), "12");
    assert_eq!(session.text(r#"{"count": {"table": "chunks", "where": "text = 'second'"}}"#), "4");
    // Those that are there are left alone, or those that are not.
    let insert = r#"{"merge_insert": {"table": "chunks", "on": ["id"], "when_matched": null}}"#;
    assert_eq!(session.change(insert, &chunks([1, 12], "third")), "1");
    let update = r#"{"merge_insert": {"table": "chunks", "on": ["id"], "when_not_matched": null}}"#;
    assert_eq!(session.change(update, &chunks([1, 99], "third")), "1");
    let newer = r#"{"merge_insert": {"table": "chunks", "on": ["id"], "when_matched_if": "target.text = 'first'"}}"#;
    assert_eq!(session.change(newer, &chunks([0, 1], "fourth")), "1");
    let counts = "select text, count(*) from chunks group by text order by text";
    assert_eq!(session.text(counts), "first|6\nfourth|1\nsecond|4\nthird|2");
    let only = r#"{"merge_insert": {"table": "chunks", "on": ["id"], "delete_unmatched_where": "text = 'third'"}}"#;
    session.change(only, &chunks([0], "fifth"));
    assert_eq!(session.text(counts), "fifth|1\nfirst|6\nsecond|4");
    assert_eq!(
        session.text(r#"{"update": {"table": "chunks", "set": {"text": "'x' || text"}, "where": "id < 2"}}"#),
        "1"
    );
    assert_eq!(session.text(r#"{"delete": {"table": "chunks", "where": "id >= 8"}}"#), "4");
    assert_eq!(session.text(counts), "first|6\nxfifth|1");
    // None at all.
    assert_eq!(session.change(ADD, &chunks([], "")), "0");
    assert_eq!(session.text(r#"{"delete": {"table": "chunks", "where": "id = 1000"}}"#), "0");
    place.engine.release().expect("released");
    place.engine.attach(Access::ReadWrite).expect("attached");
    assert_eq!(session.text(COUNT), "7");
}

#[test]
fn what_cannot_be_done_is_told_by_its_code_and_changes_nothing() {
    let (_place, mut session) = Place::with_chunks(3);
    let twice = chunks([5, 5], "twice");
    let wrong = chunks([1], "x").project(&[0, 2]).expect("columns");
    let merge = |on: &str| format!(r#"{{"merge_insert": {{"table": "chunks", "on": ["{on}"]}}}}"#);
    for (operation, rows, state) in [
        (merge("id"), Some(&twice), "21000"),
        (merge("nothing"), Some(&twice), "42703"),
        (r#"{"add": {"table": "nothing"}}"#.to_owned(), Some(&twice), "42P01"),
        (ADD.to_owned(), None, "07001"),
        (r#"{"update": {"table": "chunks", "set": {"nothing": "1"}}}"#.to_owned(), None, "42703"),
        (r#"{"update": {"table": "chunks", "set": {"id": "1 +"}}}"#.to_owned(), None, "42601"),
        (r#"{"delete": {"table": "chunks", "where": "nothing = 1"}}"#.to_owned(), None, "42703"),
        (
            r#"{"create_table": {"table": "chunks", "schema": [{"name": "a", "type": "int64"}]}}"#.to_owned(),
            None,
            "42P07",
        ),
        (r#"{"create_table": {"table": "t", "schema": [{"name": "a", "type": "int65"}]}}"#.to_owned(), None, "42704"),
        (r#"{"drop_table": {"table": "nothing"}}"#.to_owned(), None, "42P01"),
        (r#"{"drop_index": {"table": "chunks", "name": "nothing"}}"#.to_owned(), None, "42704"),
        (
            r#"{"create_index": {"table": "chunks", "column": "text", "type": "btree", "m": 3}}"#.to_owned(),
            None,
            "42601",
        ),
        (r#"{"count": {"table": "../chunks"}}"#.to_owned(), None, "42602"),
        (r#"{"sing": {}}"#.to_owned(), None, "42601"),
    ] {
        let error = session.error(&operation, rows);
        assert_eq!(error.sqlstate(), state, "{operation}: {error}");
    }
    // A column that is missing is null where it may be.
    assert_eq!(session.change(ADD, &wrong), "1");
    assert_eq!(session.text("select id, text from chunks order by id, text"), "0|first\n1|first\n1|NULL\n2|first");
}

#[test]
fn tables_columns_versions_and_indices_are_told() {
    let (_place, mut session) = Place::with_chunks(300);
    session
        .run(r#"{"create_table": {"table": "other", "schema": [{"name": "a", "type": "date32", "nullable": false}]}}"#);
    session
        .run(r#"{"create_table": {"table": "other", "schema": [{"name": "b", "type": "bool"}], "if_exists": "keep"}}"#);
    assert_eq!(session.text(r#"{"tables": {}}"#), "chunks\nother");
    assert_eq!(session.text(r#"{"schema": {"table": "other"}}"#), "a|Date32|false");
    session.run(
        r#"{"create_table": {"table": "other", "schema": [{"name": "b", "type": "bool"}], "if_exists": "overwrite"}}"#,
    );
    assert_eq!(session.text(r#"{"schema": {"table": "other"}}"#), "b|Boolean|true");
    assert_eq!(
        session.text("select database, name, kind from dbmux_tables"),
        "lance|chunks|BASE TABLE\nlance|other|BASE TABLE"
    );
    for (column, kind) in
        [("id", "btree"), ("text", "fts"), ("vector", "ivf_flat"), ("vector", "ivf_pq"), ("vector", "ivf_hnsw_sq")]
    {
        let more = if kind == "ivf_pq" { r#", "num_sub_vectors": 1"# } else { "" };
        let name = format!("{column}_{kind}");
        session.run(&format!(
            r#"{{"create_index": {{"table": "chunks", "column": "{column}", "type": "{kind}", "name": "{name}"{more}}}}}"#
        ));
        let indices = session.text(r#"{"indices": {"table": "chunks"}}"#);
        assert!(indices.lines().any(|line| line.starts_with(&name) && line.ends_with("|300|0")), "{indices}");
    }
    session.change(ADD, &chunks(300..310, "second"));
    let indices = session.text(r#"{"indices": {"table": "chunks"}}"#);
    assert!(indices.contains("id_btree|") && indices.contains("|300|10"), "{indices}");
    session.run(r#"{"optimize": {"table": "chunks"}}"#);
    let indices = session.text(r#"{"indices": {"table": "chunks"}}"#);
    assert!(indices.lines().all(|line| line.ends_with("|310|0")), "{indices}");
    session.run(r#"{"drop_index": {"table": "chunks", "name": "id_btree"}}"#);
    assert!(!session.text(r#"{"indices": {"table": "chunks"}}"#).contains("id_btree"));
    session.run(r#"{"drop_table": {"table": "other"}}"#);
    session.run(r#"{"drop_table": {"table": "other", "if_exists": true}}"#);
    assert_eq!(session.text(r#"{"tables": {}}"#), "chunks");
}

/// A session reads the version that it has checked out, and writes nothing to its table meanwhile.
#[test]
fn a_session_pins_a_version() {
    let (place, mut session) = Place::with_chunks(3);
    let mut other = place.session();
    let version = session.text(r#"{"checkout": {"table": "chunks", "version": 2}}"#);
    assert_eq!(version, "2");
    assert!(session.0.state().has_state);
    assert_eq!(other.change(ADD, &chunks(3..5, "second")), "2");
    assert_eq!((session.text(COUNT), other.text(COUNT)), ("3".to_owned(), "5".to_owned()));
    assert_eq!(session.text("select count(*) from chunks"), "3");
    assert_eq!(session.text(r#"{"search": {"table": "chunks", "select": ["id"]}}"#), "0\n1\n2");
    let refused = session.error(ADD, Some(&chunks([9], "x")));
    assert!(refused.to_string().contains("version 2"), "{refused}");
    assert_eq!(session.text(r#"{"checkout": {"table": "chunks"}}"#), "3");
    assert!(!session.0.state().has_state);
    assert_eq!(session.text(COUNT), "5");
    let versions = session.text(r#"{"versions": {"table": "chunks"}}"#);
    assert_eq!(versions.lines().count(), 3, "{versions}");
    let missing = session.error(r#"{"checkout": {"table": "chunks", "version": 1000}}"#, None);
    assert_eq!(missing.sqlstate(), "22023", "{missing}");
}

#[test]
fn who_may_only_read_changes_nothing() {
    let (place, mut session) = Place::with_chunks(3);
    let mut reader = Session::of(&place.engine, SessionOptions { read_only: true, ..SessionOptions::default() });
    for operation in [
        ADD,
        r#"{"merge_insert": {"table": "chunks", "on": ["id"]}}"#,
        r#"{"update": {"table": "chunks", "set": {"id": "7"}}}"#,
        r#"{"delete": {"table": "chunks", "where": "true"}}"#,
        r#"{"create_table": {"table": "t", "schema": [{"name": "a", "type": "int64"}]}}"#,
        r#"{"drop_table": {"table": "chunks"}}"#,
        r#"{"create_index": {"table": "chunks", "column": "id"}}"#,
        r#"{"optimize": {"table": "chunks"}}"#,
    ] {
        let refused = reader.error(operation, Some(&chunks([7], "x")));
        assert!(matches!(refused, EngineError::ReadOnly { .. }), "{operation}: {refused}");
        // Where only this statement is to read, too.
        let prepared = session.0.prepare(operation).expect("it is known");
        assert_eq!(prepared.kind, StatementKind::Write);
        let outcome = session.0.execute(prepared.id, Some(&chunks([7], "x")), true).map(drop);
        assert!(matches!(outcome, Err(EngineError::ReadOnly { .. })), "{operation}");
    }
    assert_eq!(reader.text(COUNT), "3");
    assert_eq!(reader.text(r#"{"tables": {}}"#), "chunks");
    let prepared = session.0.prepare(ADD).expect("it is known");
    assert_eq!((prepared.shape, prepared.parameters.fields().len()), (ResultShape::RowsChanged, 3));
}

/// Many statements that append are one commit.
#[test]
fn appends_of_many_are_one_version() {
    let (place, mut session) = Place::with_chunks(0);
    let rows: Vec<_> = (0..50).map(|id| chunks([id], "one")).collect();
    let shape = place.engine.insert_shape(ADD).expect("it merges");
    let given: Vec<_> = rows.iter().map(|rows| (ADD, Some(rows))).collect();
    let before = session.text(r#"{"versions": {"table": "chunks"}}"#).lines().count();
    session.0.insert_many(&shape, &given).expect("they fit");
    assert_eq!(session.text(r#"{"versions": {"table": "chunks"}}"#).lines().count(), before + 1);
    assert_eq!(session.text(COUNT), "50");
    let other = chunks([1], "x").project(&[0]).expect("a column");
    let declined = session.0.insert_many(&shape, &[(ADD, Some(&rows[0])), (ADD, Some(&other))]);
    assert!(matches!(declined, Err(EngineError::Unsupported { .. })), "{declined:?}");
    assert_eq!(session.text(COUNT), "50", "all or none");
}
