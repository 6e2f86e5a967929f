//! Statements that are written together, in one version.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, NullArray, RecordBatch, StringArray, TimestampNanosecondArray};
use dbmux_engine::{Engine, EngineError, EngineSession, InsertShape};

use crate::support::{ADD, COUNT, Database, MERGE, changed, chunks, chunks_of, column, fails, numbers, run};

const VERSIONS: &str = r#"{"versions": {"table": "chunks"}}"#;

#[test]
fn appends_of_many_statements_are_one_version() {
    let database = Database::with_chunks(0);
    let mut session = database.session();
    let batches: Vec<_> = (0..50).map(|id| chunks(id..id + 1)).collect();
    let rows: Vec<_> = batches.iter().map(|batch| (ADD, Some(batch))).collect();
    let shape = database.engine.insert_shape(ADD).unwrap();
    let versions = r#"{"versions": {"table": "chunks"}}"#;
    let before = numbers(session.as_mut(), versions, None).len();
    session.insert_many(&shape, &rows).unwrap();
    assert_eq!(numbers(session.as_mut(), versions, None).len(), before + 1);
    assert_eq!(numbers(session.as_mut(), COUNT, None), [50]);

    let odd = arrow::array::RecordBatch::try_from_iter([("id", chunks(1..2).column(0).clone())]).unwrap();
    let mixed = [(ADD, Some(&batches[0])), (ADD, Some(&odd))];
    assert!(matches!(session.insert_many(&shape, &mixed), Err(EngineError::Unsupported { .. })));
    let other = InsertShape { table: "other".to_owned(), ..shape };
    assert!(session.insert_many(&other, &rows).is_err());
    assert_eq!(numbers(session.as_mut(), COUNT, None), [50]);
}

/// What is in the table, without the order in which it is there.
fn contents(session: &mut dyn EngineSession) -> Vec<(i64, String)> {
    let (_, batches) = run(session, "SELECT id, provider FROM chunks ORDER BY id", None).unwrap();
    let rows = |batch: &RecordBatch| {
        let (ids, providers) = (column::<Int64Array>(batch, 0).clone(), column::<StringArray>(batch, 1).clone());
        (0..batch.num_rows()).map(|row| (ids.value(row), providers.value(row).to_owned())).collect::<Vec<_>>()
    };
    batches.iter().flat_map(rows).collect()
}

#[test]
fn upserts_of_many_statements_are_one_version_and_come_to_the_same() {
    let (together, alone) = (Database::with_chunks(20), Database::with_chunks(20));
    let (mut together_session, mut alone_session) = (together.session(), alone.session());
    let shape = together.engine.insert_shape(MERGE).unwrap();
    for round in 0..3_i64 {
        // Of old rows and new ones, and of each other's.
        let batches: Vec<_> = (0..12_i64)
            .map(|one| {
                let first = (round * 31 + one * 7) % 40;
                chunks_of(first..first + 1 + one % 6, &format!("by {round}.{one}"))
            })
            .collect();
        let rows: Vec<_> = batches.iter().map(|batch| (MERGE, Some(batch))).collect();
        let before = numbers(together_session.as_mut(), VERSIONS, None).len();
        together_session.insert_many(&shape, &rows).unwrap();
        assert_eq!(numbers(together_session.as_mut(), VERSIONS, None).len(), before + 1);
        for batch in &batches {
            // As many as were given, as whoever shares a version is told.
            assert_eq!(changed(alone_session.as_mut(), MERGE, Some(batch)), batch.num_rows() as i64);
        }
        assert_eq!(contents(together_session.as_mut()), contents(alone_session.as_mut()), "round {round}");
    }
}

#[test]
fn an_upsert_that_cannot_share_a_version_is_declined_and_nothing_has_happened() {
    let database = Database::new();
    let mut session = database.session();
    let create = r#"{"create_table": {"table": "chunks", "schema": [{"name": "id", "type": "int64"}]}}"#;
    changed(session.as_mut(), create, None);
    let shape = database.engine.insert_shape(MERGE).unwrap();
    let keys = |keys: &[Option<i64>]| {
        RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(keys.to_vec())) as ArrayRef)]).unwrap()
    };
    let (good, twice, null) = (keys(&[Some(5), Some(6)]), keys(&[Some(7), Some(7)]), keys(&[Some(8), None]));
    let error = session.insert_many(&shape, &[(MERGE, Some(&good)), (MERGE, Some(&twice))]).unwrap_err();
    assert_eq!(error.sqlstate(), "21000");
    let error = session.insert_many(&shape, &[(MERGE, Some(&good)), (MERGE, Some(&null))]).unwrap_err();
    assert!(matches!(error, EngineError::Unsupported { .. }), "{error}");
    assert_eq!(numbers(session.as_mut(), COUNT, None), [0]);
    // By itself it is merged in; what is NULL equals nothing, and is there twice after the second time.
    for there in [2, 3] {
        session.insert_many(&shape, &[(MERGE, Some(&null))]).unwrap();
        assert_eq!(numbers(session.as_mut(), COUNT, None), [there]);
    }
}

#[test]
fn only_what_comes_to_the_same_together_has_a_shape() {
    let database = Database::with_chunks(0);
    let shape = |text: &str| database.engine.insert_shape(text);
    let upsert = InsertShape { table: "chunks".into(), columns: vec!["id".into()], width: 0 };
    assert_eq!(shape(MERGE), Some(upsert));
    assert_eq!(shape(ADD).unwrap().columns, Vec::<String>::new());
    for condition in [
        r#""when_matched": null"#,
        r#""when_not_matched": null"#,
        r#""when_matched_if": "target.id < 3""#,
        r#""delete_unmatched_where": "id < 3""#,
    ] {
        let text = format!(r#"{{"merge_insert": {{"table": "chunks", "on": ["id"], {condition}}}}}"#);
        assert_eq!(shape(&text), None, "{text}");
    }
    assert_eq!(shape(r#"{"merge_insert": {"table": "chunks", "on": []}}"#), None);
    assert_eq!(shape(r#"{"delete": {"table": "chunks", "where": "text = '\"add\"'"}}"#), None);
}

#[test]
fn keys_are_one_key_as_the_table_has_them() {
    let database = Database::new();
    let mut session = database.session();
    let create = r#"{"create_table": {"table": "chunks", "schema": [{"name": "id", "type": "timestamp[us]"}]}}"#;
    changed(session.as_mut(), create, None);
    let shape = database.engine.insert_shape(MERGE).unwrap();
    let rows = |keys: &[i64]| {
        let keys = Arc::new(TimestampNanosecondArray::from(keys.to_vec())) as ArrayRef;
        RecordBatch::try_from_iter([("id", keys)]).unwrap()
    };
    // What differs by less than a microsecond.
    let (one, other) = (rows(&[1000]), rows(&[1500]));
    session.insert_many(&shape, &[(MERGE, Some(&one)), (MERGE, Some(&other))]).unwrap();
    assert_eq!(numbers(session.as_mut(), COUNT, None), [1]);
    assert_eq!(fails(session.as_mut(), MERGE, Some(&rows(&[1000, 1500]))).sqlstate(), "21000");
    // A column that is nothing but NULL, as pyarrow makes it.
    let nulls = |count| {
        let nulls = Arc::new(NullArray::new(count)) as ArrayRef;
        RecordBatch::try_from_iter_with_nullable([("id", nulls, true)]).unwrap()
    };
    let null = nulls(1);
    assert!(session.insert_many(&shape, &[(MERGE, Some(&null)), (MERGE, Some(&null))]).is_err());
    assert_eq!(numbers(session.as_mut(), COUNT, None), [1]);
    // Two of them are two rows.
    assert_eq!(changed(session.as_mut(), MERGE, Some(&nulls(2))), 2);
    assert_eq!(numbers(session.as_mut(), COUNT, None), [3]);
}
