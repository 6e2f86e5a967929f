//! Statements that are written together, in one version; and the small files that many versions make.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread,
};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use dbmux_engine::{Engine, EngineError, EngineSession, InsertShape};

use crate::support::{Database, changed, chunks, chunks_of, column, near, numbers, run};

const ADD: &str = r#"{"add": {"table": "chunks"}}"#;
const COUNT: &str = r#"{"count": {"table": "chunks"}}"#;
const MERGE: &str = r#"{"merge_insert": {"table": "chunks", "on": ["id"]}}"#;
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
fn files_stay_few_while_nobody_pauses() {
    let database = Database::with_chunks(100);
    let mut session = database.session();
    for id in 0..100 {
        let (text, rows) = if id % 2 == 0 { (ADD, chunks(1000 + id..1001 + id)) } else { (MERGE, chunks(id..id + 1)) };
        assert_eq!(changed(session.as_mut(), text, Some(&rows)), 1);
    }
    assert_eq!(numbers(session.as_mut(), COUNT, None), [150]);
    let (_, done) = run(session.as_mut(), r#"{"optimize": {"table": "chunks"}}"#, None).unwrap();
    let left = column::<Int64Array>(&done[0], 0).value(0);
    assert!((1..=40).contains(&left), "{left} files were there, of 101 that were written");
}

#[test]
fn an_index_is_made_and_files_are_put_together_while_others_write() {
    const ROWS: i64 = 30_000;
    let database = Database::with_chunks(ROWS);
    let (stop, written) = (AtomicBool::new(false), AtomicI64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut session = database.session();
            while !stop.load(Ordering::Relaxed) {
                // Old rows everywhere, each time one more that is new.
                let written = written.fetch_add(1, Ordering::Relaxed);
                let rows = [written * 997 % ROWS, written * 1009 % ROWS, ROWS + written].map(|id| chunks(id..id + 1));
                let rows =
                    arrow::compute::concat_batches(&rows[0].schema(), &rows[usize::from(written == 0)..]).unwrap();
                changed(session.as_mut(), MERGE, Some(&rows));
            }
        });
        let mut session = database.session();
        let mut meanwhile = 0;
        for text in [
            r#"{"create_index": {"table": "chunks", "column": "embedding", "type": "ivf_flat", "num_partitions": 64}}"#,
            r#"{"create_index": {"table": "chunks", "column": "id", "type": "btree"}}"#,
            r#"{"optimize": {"table": "chunks"}}"#,
        ] {
            let before = written.load(Ordering::Relaxed);
            let done = run(session.as_mut(), text, None).map(drop);
            meanwhile += written.load(Ordering::Relaxed) - before;
            done.unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        assert!(meanwhile > 0, "nothing was written meanwhile");
    });
    let mut session = database.session();
    let expected = ROWS + written.load(Ordering::Relaxed);
    assert_eq!(numbers(session.as_mut(), "SELECT count(DISTINCT id) FROM chunks", None), [expected]);
    assert_eq!(numbers(session.as_mut(), COUNT, None), [expected]);
    for id in [0, 997, ROWS, expected - 1] {
        let search =
            format!(r#"{{"search": {{"table": "chunks", "vector": {}, "limit": 1, "nprobes": 64}}}}"#, near(id));
        assert_eq!(numbers(session.as_mut(), &search, None), [id]);
        let count = format!(r#"{{"count": {{"table": "chunks", "where": "id = {id}"}}}}"#);
        assert_eq!(numbers(session.as_mut(), &count, None), [1]);
    }
}
