//! Adding, merging, updating, deleting, many at once; versions and what is made of them.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use arrow::{
    array::{ArrayRef, Int64Array, ListArray, RecordBatch},
    datatypes::Float64Type,
};
use dbmux_engine::{Access, Engine, EngineError, EngineSession};

use crate::support::{ADD, COUNT, Database, MERGE, changed, chunks, chunks_of, column, fails, numbers, run, texts};

#[test]
fn rows_are_added_merged_updated_and_deleted() {
    let database = Database::with_chunks(10);
    let mut session = database.session();
    let session = session.as_mut();
    assert_eq!(changed(session, ADD, Some(&chunks(10..13))), 3);
    assert_eq!(changed(session, MERGE, Some(&chunks_of(11..15, "merged"))), 4);
    assert_eq!(numbers(session, COUNT, None), [15]);
    let merged = r#"{"count": {"table": "chunks", "where": "provider = 'merged'"}}"#;
    assert_eq!(numbers(session, merged, None), [4]);

    let only_new = r#"{"merge_insert": {"table": "chunks", "on": ["id"], "when_matched": null}}"#;
    assert_eq!(changed(session, only_new, Some(&chunks_of(14..17, "new"))), 2);
    let only_old = r#"{"merge_insert": {"table": "chunks", "on": ["id"], "when_not_matched": null}}"#;
    assert_eq!(changed(session, only_old, Some(&chunks_of(16..20, "old"))), 1);
    assert_eq!(numbers(session, COUNT, None), [17]);

    let update = r#"{"update": {"table": "chunks", "where": "id < 3", "set": {"provider": "concat('p', id)", "id": "id + 100"}}}"#;
    assert_eq!(changed(session, update, None), 3);
    let (_, rows) = run(session, "SELECT id FROM chunks WHERE provider LIKE 'p%' ORDER BY id", None).unwrap();
    assert_eq!(column::<Int64Array>(&rows[0], 0).values(), &[100, 101, 102]);
    assert_eq!(changed(session, r#"{"delete": {"table": "chunks", "where": "id >= 100"}}"#, None), 3);
    assert_eq!(numbers(session, COUNT, None), [14]);
    assert_eq!(changed(session, ADD, Some(&chunks(0..0))), 0);
}

#[test]
fn rows_that_do_not_fit_are_refused_and_change_nothing() {
    let database = Database::with_chunks(2);
    let mut session = database.session();
    let session = session.as_mut();
    let other = arrow::array::RecordBatch::try_from_iter([(
        "nothing",
        std::sync::Arc::new(Int64Array::from(vec![1])) as arrow::array::ArrayRef,
    )])
    .unwrap();
    for text in [ADD, MERGE] {
        assert_eq!(fails(session, text, Some(&other)).sqlstate(), "42703", "{text}");
    }
    let twice = arrow::compute::concat_batches(&chunks(0..1).schema(), [&chunks(7..8), &chunks(7..8)]).unwrap();
    assert_eq!(fails(session, MERGE, Some(&twice)).sqlstate(), "21000");
    assert_eq!(numbers(session, COUNT, None), [2]);
}

#[test]
fn concurrent_merges_of_the_same_keys_make_no_duplicates() {
    const WRITERS: i64 = 8;
    const ROUNDS: i64 = 5;
    let database = Database::with_chunks(0);
    let start = Barrier::new(WRITERS as usize);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (database, start) = (&database, &start);
            scope.spawn(move || {
                let mut session = database.session();
                start.wait();
                for round in 0..ROUNDS {
                    // Everybody brings the same ten keys of the round, and one of its own.
                    let own = 1_000 + writer * 100 + round;
                    changed(
                        session.as_mut(),
                        MERGE,
                        Some(&chunks_of(round * 10..round * 10 + 10, &format!("w{writer}"))),
                    );
                    changed(session.as_mut(), MERGE, Some(&chunks(own..own + 1)));
                }
            });
        }
    });
    let mut session = database.session();
    let expected = ROUNDS * 10 + WRITERS * ROUNDS;
    assert_eq!(numbers(session.as_mut(), COUNT, None), [expected]);
    assert_eq!(numbers(session.as_mut(), "SELECT count(DISTINCT id) FROM chunks", None), [expected]);
}

#[test]
fn concurrent_updates_lose_nothing() {
    const WRITERS: i64 = 6;
    const ROUNDS: i64 = 5;
    let database = Database::new();
    let mut session = database.session();
    let rows = arrow::array::RecordBatch::try_from_iter([(
        "n",
        std::sync::Arc::new(Int64Array::from(vec![0, 0])) as arrow::array::ArrayRef,
    )])
    .unwrap();
    changed(session.as_mut(), r#"{"create_table": {"table": "counter"}}"#, Some(&rows));
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            let database = &database;
            scope.spawn(move || {
                let mut session = database.session();
                for _ in 0..ROUNDS {
                    let update = r#"{"update": {"table": "counter", "set": {"n": "n + 1"}}}"#;
                    assert_eq!(changed(session.as_mut(), update, None), 2);
                }
            });
        }
    });
    assert_eq!(numbers(session.as_mut(), "SELECT n FROM counter", None), [WRITERS * ROUNDS; 2]);
}

#[test]
fn a_session_reads_the_version_that_it_checked_out() {
    let database = Database::with_chunks(5);
    let (mut pinned, mut other) = (database.session(), database.session());
    let versions = numbers(pinned.as_mut(), r#"{"versions": {"table": "chunks"}}"#, None);
    let first = *versions.last().unwrap();
    let checkout = format!(r#"{{"checkout": {{"table": "chunks", "version": {first}}}}}"#);
    assert_eq!(numbers(pinned.as_mut(), &checkout, None), [first]);
    assert!(pinned.state().has_state && !other.state().has_state);
    changed(other.as_mut(), ADD, Some(&chunks(5..9)));
    for text in [COUNT, "SELECT count(*) FROM chunks"] {
        assert_eq!(numbers(pinned.as_mut(), text, None), [5], "{text}");
        assert_eq!(numbers(other.as_mut(), text, None), [9], "{text}");
    }
    let search = r#"{"search": {"table": "chunks", "select": ["id"], "where": "id >= 5"}}"#;
    assert_eq!(numbers(pinned.as_mut(), search, None).len(), 0);
    assert_eq!(numbers(other.as_mut(), search, None).len(), 4);
    assert!(matches!(fails(pinned.as_mut(), ADD, Some(&chunks(9..10))), EngineError::Refused { .. }));
    // The version is the session's: it is still that one when the file was away.
    database.engine.release().unwrap();
    database.engine.attach(dbmux_engine::Access::ReadWrite).unwrap();
    assert_eq!(numbers(pinned.as_mut(), COUNT, None), [5]);
    let latest = r#"{"checkout": {"table": "chunks", "version": null}}"#;
    assert_eq!(numbers(pinned.as_mut(), latest, None), [first + 1]);
    assert_eq!(numbers(pinned.as_mut(), COUNT, None), [9]);
    assert!(!pinned.state().has_state);
}

#[test]
fn tables_are_made_of_a_schema_kept_overwritten_and_dropped() {
    let database = Database::new();
    let mut session = database.session();
    let session = session.as_mut();
    let create = r#"{"create_table": {"table": "t", "schema": [
        {"name": "id", "type": "int64", "nullable": false}, {"name": "v", "type": "vector(8)"},
        {"name": "at", "type": "timestamp[us, UTC]"}, {"name": "tags", "type": "list(string)"}]}}"#;
    assert_eq!(changed(session, create, None), 0);
    assert_eq!(texts(session, r#"{"schema": {"table": "t"}}"#), ["id", "v", "at", "tags"]);
    assert_eq!(numbers(session, r#"{"count": {"table": "t"}}"#, None), [0]);
    let again = |what: &str| format!(r#"{{"create_table": {{"table": "t", "if_exists": "{what}"}}}}"#);
    assert_eq!(fails(session, &again("error"), Some(&chunks(0..1))).sqlstate(), "42P07");
    assert_eq!(changed(session, &again("keep"), Some(&chunks(0..3))), 0);
    assert_eq!(numbers(session, r#"{"count": {"table": "t"}}"#, None), [0]);
    assert_eq!(changed(session, &again("overwrite"), Some(&chunks(0..3))), 3);
    assert_eq!(numbers(session, r#"{"count": {"table": "t"}}"#, None), [3]);
    run(session, r#"{"drop_table": {"table": "t"}}"#, None).unwrap();
    assert_eq!(fails(session, r#"{"drop_table": {"table": "t"}}"#, None).sqlstate(), "42P01");
    run(session, r#"{"drop_table": {"table": "t", "if_exists": true}}"#, None).unwrap();
    assert!(texts(session, r#"{"tables": {}}"#).is_empty());
    assert_eq!(changed(session, r#"{"create_table": {"table": "t"}}"#, Some(&chunks(0..2))), 2);
    assert_eq!(numbers(session, r#"{"count": {"table": "t"}}"#, None), [2]);
    let left = std::fs::read_dir(database.path.parent().unwrap()).unwrap().count();
    assert_eq!(left, 1, "a scratch folder was left");
}

#[test]
fn files_are_put_together_on_demand_and_in_idle_moments() {
    let database = Database::with_chunks(1);
    let mut session = database.session();
    let session = session.as_mut();
    // Put together once on the way, and too many again at the end.
    for id in 1..32 {
        changed(session, ADD, Some(&chunks(id..id + 1)));
    }
    database.engine.idle_work();
    // There is nothing left to do.
    let (_, rows) = run(session, r#"{"optimize": {"table": "chunks"}}"#, None).unwrap();
    assert_eq!(column::<Int64Array>(&rows[0], 0).values(), &[0]);
    assert_eq!(numbers(session, COUNT, None), [32]);

    for id in 32..36 {
        changed(session, ADD, Some(&chunks(id..id + 1)));
    }
    let (_, rows) = run(session, r#"{"optimize": {"table": "chunks", "older_than_seconds": 0}}"#, None).unwrap();
    // The first of the four made it sixteen since they were put together on the way.
    assert_eq!(column::<Int64Array>(&rows[0], 0).values(), &[4]);
    assert_eq!(column::<Int64Array>(&rows[0], 1).values(), &[1]);
    assert!(column::<Int64Array>(&rows[0], 4).value(0) >= 32);
    assert_eq!(numbers(session, COUNT, None), [36]);
}

#[test]
fn a_write_that_is_interrupted_has_not_happened() {
    let database = Database::with_chunks(10);
    let mut session = database.session();
    let stop = session.interrupter();
    let mut done = 0;
    let mut interrupted = 0;
    for round in 0..40u64 {
        let stop = std::sync::Arc::clone(&stop);
        let prepared = session.prepare(ADD).unwrap();
        let batch = chunks(100..101);
        let outcome = thread::scope(|scope| {
            scope.spawn(move || {
                // Somewhere within the statement's few milliseconds: wherever it is, what is told must be true.
                thread::sleep(std::time::Duration::from_micros(round * 150));
                stop.interrupt();
            });
            session.execute(prepared.id, Some(&batch), false).map(drop)
        });
        session.forget(prepared.id);
        match outcome {
            Ok(()) => done += 1,
            Err(EngineError::Interrupted) => interrupted += 1,
            Err(error) => panic!("{error:?}"),
        }
        assert_eq!(numbers(session.as_mut(), COUNT, None), [10 + done], "round {round}");
    }
    println!("{done} done, {interrupted} interrupted");
    assert!(interrupted > 0);
}

#[test]
fn what_is_left_of_a_table_that_was_not_finished_is_no_table() {
    let database = Database::new();
    let mut session = database.session();
    let session = session.as_mut();
    std::fs::create_dir_all(database.path.join("chunks.lance/data")).unwrap();
    assert!(texts(session, r#"{"tables": {}}"#).is_empty());
    assert_eq!(fails(session, COUNT, None).sqlstate(), "42P01");
    let create = r#"{"create_table": {"table": "chunks", "if_exists": "keep"}}"#;
    assert_eq!(changed(session, create, Some(&chunks(0..2))), 2);
    assert_eq!(numbers(session, COUNT, None), [2]);
}

/// JSON has lists of doubles, and tables have vectors: they are converted, or refused by name.
#[test]
fn merged_rows_have_the_types_of_the_tables_columns() {
    let database = Database::new();
    let mut session = database.session();
    let create = r#"{"create_table": {"table": "t", "schema": [{"name": "id", "type": "int32"},
        {"name": "v", "type": "vector(2)"}]}}"#;
    changed(session.as_mut(), create, None);
    let rows = |numbers: Vec<Option<f64>>| {
        let vectors = ListArray::from_iter_primitive::<Float64Type, _, _>([Some(numbers)]);
        let columns: [(&str, ArrayRef); 2] = [("id", Arc::new(Int64Array::from(vec![1]))), ("v", Arc::new(vectors))];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let merge = r#"{"merge_insert": {"table": "t", "on": ["id"]}}"#;
    assert_eq!(changed(session.as_mut(), merge, Some(&rows(vec![Some(1.0), Some(2.0)]))), 1);
    assert_eq!(changed(session.as_mut(), merge, Some(&rows(vec![Some(3.0), Some(4.0)]))), 1);
    assert_eq!(numbers(session.as_mut(), "SELECT CAST(v[1] AS BIGINT) FROM t WHERE id = 1", None), [3]);
    let error = run(session.as_mut(), merge, Some(&rows(vec![Some(1.0)]))).unwrap_err();
    assert!(error.sqlstate() == "42804" && error.to_string().contains("\"v\""), "{error}");
}

/// A table that was dropped and made again beside us has versions of its own.
#[test]
fn a_version_of_a_table_that_is_gone_is_not_read() {
    let database = Database::with_chunks(3);
    let mut session = database.session();
    let count = |session: &mut dyn EngineSession| run(session, COUNT, None);
    let checkout = r#"{"checkout": {"table": "chunks", "version": 1}}"#;
    assert_eq!(numbers(session.as_mut(), checkout, None), [1]);
    assert_eq!(numbers(session.as_mut(), COUNT, None), [3]);
    let other = Database::at(&database.path);
    other.engine.attach(Access::ReadWrite).unwrap();
    let mut foreign = other.session();
    run(foreign.as_mut(), r#"{"drop_table": {"table": "chunks"}}"#, None).unwrap();
    assert_eq!(count(session.as_mut()).unwrap_err().sqlstate(), "42P01");
    changed(foreign.as_mut(), r#"{"create_table": {"table": "chunks"}}"#, Some(&chunks(0..7)));
    assert_eq!(numbers(session.as_mut(), COUNT, None), [7]);
}

/// A release waits for no compaction: what it has done until then stays, and the table is whole.
#[test]
fn a_release_ends_what_is_done_in_an_idle_moment() {
    let database = Database::with_chunks(0);
    let mut session = database.session();
    for id in 0..40 {
        changed(session.as_mut(), ADD, Some(&chunks(id..id + 1)));
    }
    for _ in 0..5 {
        thread::scope(|scope| {
            let idle = scope.spawn(|| database.engine.idle_work());
            let began = Instant::now();
            database.engine.release().unwrap();
            assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
            idle.join().unwrap();
        });
        database.engine.idle_work();
        database.engine.attach(Access::ReadWrite).unwrap();
        assert_eq!(numbers(session.as_mut(), COUNT, None), [40]);
    }
    run(session.as_mut(), r#"{"optimize": {"table": "chunks"}}"#, None).unwrap();
    assert_eq!(numbers(session.as_mut(), COUNT, None), [40]);
}
