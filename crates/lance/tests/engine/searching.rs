//! Searches by vectors, words, both; conditions, columns; indices; large answers; SQL.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use arrow::array::{Float32Array, Int64Array, RecordBatch, StringArray};
use dbmux_engine::{EngineError, EngineSession};

use crate::support::{Database, changed, chunks, chunks_of, column, fails, near, numbers, run};

fn search(session: &mut dyn EngineSession, rest: &str, id: i64) -> Vec<i64> {
    let text = format!(r#"{{"search": {{"table": "chunks", "vector": {}, "select": ["id"], {rest}}}}}"#, near(id));
    numbers(session, &text, None)
}

#[test]
fn the_nearest_rows_are_found() {
    let database = Database::with_chunks(100);
    let mut session = database.session();
    let session = session.as_mut();
    changed(session, r#"{"add": {"table": "chunks"}}"#, Some(&chunks_of(100..200, "other")));
    assert_eq!(search(session, r#""limit": 3"#, 50), [50, 51, 49]);
    assert_eq!(search(session, r#""limit": 2, "where": "id > 60""#, 50), [61, 62]);
    assert_eq!(search(session, r#""limit": 1, "where": "provider = 'other'""#, 50), [100]);
    assert_eq!(search(session, r#""limit": 2, "offset": 1"#, 50), [51, 49]);
    assert_eq!(search(session, r#""limit": 1, "metric": "dot""#, 50), [199]);
    assert_eq!(search(session, r#""limit": 1, "column": "embedding", "metric": "cosine""#, 50).len(), 1);
    assert_eq!(search(session, r#""limit": 1, "where": "id > 60", "postfilter": true"#, 50).len(), 0);
    let text = format!(r#"{{"search": {{"table": "chunks", "vector": {}, "limit": 1}}}}"#, near(7));
    let (schema, rows) = run(session, &text, None).unwrap();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["id", "provider", "text", "embedding", "_distance"]);
    assert!((column::<Float32Array>(&rows[0], 4).value(0) - 0.01).abs() < 1e-4);
    let short = r#"{"search": {"table": "chunks", "vector": [1.0]}}"#;
    assert!(matches!(fails(session, short, None), EngineError::Sql { .. }));
}

#[test]
fn words_are_found_and_both_together() {
    let database = Database::with_chunks(100);
    let mut session = database.session();
    let session = session.as_mut();
    run(session, r#"{"create_index": {"table": "chunks", "column": "text", "type": "fts"}}"#, None).unwrap();
    let words = r#"{"search": {"table": "chunks", "text": "42", "select": ["id", "_score"]}}"#;
    assert_eq!(numbers(session, words, None), [42]);
    let odd = r#"{"search": {"table": "chunks", "text": "odd", "select": ["id", "_score"], "where": "id < 10", "limit": 100}}"#;
    let mut found = numbers(session, odd, None);
    found.sort_unstable();
    assert_eq!(found, [1, 3, 5, 7, 9]);
    // What was added since the index was made is found too.
    changed(session, r#"{"add": {"table": "chunks"}}"#, Some(&chunks(1_000..1_001)));
    let new = r#"{"search": {"table": "chunks", "text": "1000", "select": ["id", "_score"]}}"#;
    assert_eq!(numbers(session, new, None), [1_000]);
    let both = format!(r#"{{"search": {{"table": "chunks", "text": "42", "vector": {}, "limit": 5}}}}"#, near(42));
    let (schema, rows) = run(session, &both, None).unwrap();
    assert!(schema.column_with_name("_relevance_score").is_some(), "{schema:?}");
    let ids = schema.index_of("id").unwrap();
    assert_eq!(column::<Int64Array>(&rows[0], ids).value(0), 42);
}

#[test]
fn indices_are_made_named_used_and_dropped() {
    let database = Database::with_chunks(1_000);
    let mut session = database.session();
    let session = session.as_mut();
    for (column, rest) in [
        ("embedding", r#""type": "ivf_flat", "num_partitions": 4, "metric": "l2""#),
        ("embedding", r#""type": "ivf_pq", "num_partitions": 2, "num_sub_vectors": 4, "name": "pq""#),
        ("embedding", r#""type": "ivf_hnsw_sq", "num_partitions": 1, "m": 8, "ef_construction": 40, "name": "hnsw""#),
        ("id", r#""type": "btree""#),
        ("provider", r#""type": "bitmap""#),
    ] {
        let create = format!(r#"{{"create_index": {{"table": "chunks", "column": "{column}", {rest}}}}}"#);
        run(session, &create, None).unwrap_or_else(|error| panic!("{create}: {error}"));
    }
    let (_, rows) = run(session, r#"{"indices": {"table": "chunks"}}"#, None).unwrap();
    let names: Vec<_> = column::<StringArray>(&rows[0], 0).iter().flatten().collect();
    assert!(names.contains(&"pq") && names.contains(&"id_idx"), "{names:?}");
    assert!(column::<Int64Array>(&rows[0], 3).iter().all(|rows| rows == Some(1_000)), "{rows:?}");
    assert_eq!(search(session, r#""limit": 1, "nprobes": 4, "refine": 10"#, 500), [500]);
    assert_eq!(search(session, r#""limit": 1, "exact": true"#, 500), [500]);
    run(session, r#"{"drop_index": {"table": "chunks", "name": "pq"}}"#, None).unwrap();
    let error = fails(session, r#"{"drop_index": {"table": "chunks", "name": "pq"}}"#, None);
    assert_eq!(error.sqlstate(), "42704", "{error:?}");
    let wrong = r#"{"create_index": {"table": "chunks", "column": "id", "type": "btree", "num_bits": 8}}"#;
    assert_eq!(fails(session, wrong, None).sqlstate(), "42601");
    run(session, r#"{"optimize": {"table": "chunks"}}"#, None).unwrap();
}

#[test]
fn large_answers_come_in_parts_and_can_be_left() {
    let database = Database::with_chunks(0);
    let mut session = database.session();
    changed(session.as_mut(), r#"{"add": {"table": "chunks"}}"#, Some(&chunks(0..300_000)));
    let text = r#"{"search": {"table": "chunks"}}"#;
    let (_, rows) = run(session.as_mut(), text, None).unwrap();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 300_000);
    assert!(rows.len() > 10 && rows.iter().all(|batch| batch.num_rows() <= 8192));

    let prepared = session.prepare("SELECT a.id FROM chunks a CROSS JOIN chunks b").unwrap();
    let stop = session.interrupter();
    let mut rows = session.execute(prepared.id, None, false).unwrap();
    assert!(rows.next().unwrap().is_some());
    stop.interrupt();
    let end = loop {
        match rows.next() {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert!(matches!(end, Err(EngineError::Interrupted)), "{end:?}");
    drop(rows);
    assert_eq!(numbers(session.as_mut(), "SELECT count(*) FROM chunks", None), [300_000]);
}

#[test]
fn sql_reads_joins_and_takes_parameters() {
    let database = Database::with_chunks(10);
    let mut session = database.session();
    let session = session.as_mut();
    changed(session, r#"{"create_table": {"table": "more"}}"#, Some(&chunks(5..15)));
    let join = "SELECT c.id FROM chunks c JOIN more m ON c.id = m.id WHERE c.id <> $1 ORDER BY 1";
    let seven = RecordBatch::try_from_iter([("1", std::sync::Arc::new(Int64Array::from(vec![7])) as _)]).unwrap();
    assert_eq!(numbers(session, join, Some(&seven)), [5, 6, 8, 9]);
    let prepared = session.prepare(join).unwrap();
    assert_eq!(prepared.parameters.fields().len(), 1);
    let with = "WITH w AS (SELECT id FROM more) SELECT max(id) FROM w";
    assert_eq!(numbers(session, with, None), [14]);
    let (_, rows) = run(session, "EXPLAIN SELECT * FROM chunks", None).unwrap();
    assert!(rows[0].num_rows() > 0);
    let (_, rows) = run(session, "SELECT * FROM chunks WHERE id < 0", None).unwrap();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
}

/// Whatever is asked can be given up soon.
#[test]
fn an_endless_statement_is_interrupted_soon() {
    let database = Database::with_chunks(2000);
    let mut session = database.session();
    let interrupter = session.interrupter();
    let (said, hears) = mpsc::channel();
    let asking = thread::spawn(move || {
        said.send(()).unwrap();
        let endless = "select count(*) from chunks a, chunks b, chunks c, chunks d where a.id + b.id + c.id + d.id = 3";
        run(session.as_mut(), endless, None).map(drop)
    });
    hears.recv().unwrap();
    thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    while !asking.is_finished() {
        interrupter.interrupt();
        thread::sleep(Duration::from_millis(5));
    }
    let took = began.elapsed();
    let outcome = asking.join().unwrap();
    assert!(matches!(outcome, Err(EngineError::Interrupted)), "{outcome:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}
