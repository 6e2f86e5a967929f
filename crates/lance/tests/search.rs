//! Searches: by vectors, words, both, conditions; and SQL over the tables.
#![expect(clippy::expect_used, clippy::panic, reason = "a test's own way to fail")]

mod common;

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use common::{Place, chunks, text};
use dbmux_engine::{Engine, EngineError};

const ADD: &str = r#"{"add": {"table": "chunks"}}"#;

#[test]
fn the_nearest_come_first() {
    let (_place, mut session) = Place::with_chunks(300);
    let near = |more: &str| {
        format!(r#"{{"search": {{"table": "chunks", "vector": [100, 1], "select": ["id", "_distance"], {more}}}}}"#)
    };
    assert_eq!(session.text(&near(r#""limit": 1"#)), "100|0.0");
    assert_eq!(session.text(&near(r#""limit": 2, "where": "id > 100""#)), "101|1.0\n102|4.0");
    assert_eq!(session.text(&near(r#""limit": 1, "offset": 1, "where": "id >= 100""#)), "101|1.0");
    // The condition after the search: of the nearest three, those that it holds for.
    assert_eq!(session.text(&near(r#""limit": 3, "where": "id = 100", "postfilter": true"#)), "100|0.0");
    assert_eq!(session.text(&near(r#""limit": 3, "where": "id = 200", "postfilter": true"#)), "");
    let by_angle = near(r#""limit": 1, "metric": "cosine""#);
    assert!(session.text(&by_angle).starts_with("100|"), "{}", session.text(&by_angle));
    // By an index, and without it.
    session
        .run(r#"{"create_index": {"table": "chunks", "column": "vector", "type": "ivf_flat", "num_partitions": 4}}"#);
    assert_eq!(session.text(&near(r#""limit": 1"#)), "100|0.0");
    assert_eq!(session.text(&near(r#""limit": 1, "nprobes": 4, "refine": 2"#)), "100|0.0");
    session.change(ADD, &chunks([100], "again"));
    assert_eq!(
        session.text(&near(r#""limit": 3, "exact": true"#)).lines().filter(|line| *line == "100|0.0").count(),
        2
    );
    assert_eq!(
        session.text(&near(r#""limit": 2, "indexed_only": true"#)).lines().filter(|line| *line == "100|0.0").count(),
        1
    );
    for (search, state) in [
        (r#""vector": [1, 2, 3]"#, "22000"),
        (r#""select": ["nothing"]"#, "42703"),
        (r#""where": "nothing = 1""#, "42703"),
        (r#""where": "id =""#, "42601"),
        (r#""metric": "l2""#, "42601"),
    ] {
        let error = session.error(&format!(r#"{{"search": {{"table": "chunks", {search}}}}}"#), None);
        assert_eq!(error.sqlstate(), state, "{search}: {error}");
    }
}

#[test]
fn words_are_found_by_their_index_and_together_with_vectors() {
    let (_place, mut session) = Place::with_chunks(20);
    session.change(ADD, &chunks([50], "the quick brown fox"));
    session.change(ADD, &chunks([51], "a lazy brown dog"));
    let words = |words: &str| format!(r#"{{"search": {{"table": "chunks", "text": "{words}", "select": ["id"]}}}}"#);
    assert_eq!(session.error(&words("fox"), None).sqlstate(), "22000", "there is no index");
    session.run(r#"{"create_index": {"table": "chunks", "column": "text", "type": "fts", "with_position": true}}"#);
    assert!(session.text(&words("fox")).starts_with("50"), "{}", session.text(&words("fox")));
    assert_eq!(session.text(&words("brown")).lines().count(), 2);
    // Both: the vector is nearest to 51, the word is in 50.
    let both = r#"{"search": {"table": "chunks", "text": "fox", "vector": [51, 1], "limit": 2, "select": ["id"]}}"#;
    let found = session.text(both);
    let mut ids: Vec<_> = found.lines().filter_map(|line| line.split('|').next()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["50", "51"], "{found}");
}

#[test]
fn sql_reads_the_tables_and_nothing_else() {
    let (place, mut session) = Place::with_chunks(5);
    session.run(r#"{"create_table": {"table": "names", "schema": [{"name": "id", "type": "int64"}, {"name": "name", "type": "string"}]}}"#);
    let joined = "select c.id, n.name from chunks c left join names n on n.id = c.id where c.id < $1 order by c.id";
    let two: ArrayRef = std::sync::Arc::new(Int64Array::from(vec![2]));
    let two = RecordBatch::try_from_iter([("1", two)]).expect("a row");
    assert_eq!(text(&session.one(joined, Some(&two)).expect("rows")), "0|NULL\n1|NULL");
    assert_eq!(session.text("with x as (select id * 2 as d from chunks) select sum(d) from x"), "20");
    assert_eq!(session.text("select count(*) from generate_series(1, 3)"), "3");
    assert_eq!(session.0.split("select 1; select 2").expect("two").len(), 2);
    let outside = place.folder.path().join("x.csv");
    std::fs::write(&outside, "a\n1\n").expect("a file");
    for sql in [
        "insert into chunks values (1)".to_owned(),
        "delete from chunks".to_owned(),
        "create table t as select 1".to_owned(),
        "drop table chunks".to_owned(),
        "set datafusion.execution.batch_size = 1".to_owned(),
        format!("create external table t stored as csv location '{}'", outside.display()),
        format!("copy chunks to '{}'", place.folder.path().join("out.csv").display()),
        format!("select * from '{}'", outside.display()),
        "begin".to_owned(),
    ] {
        let error = session.error(&sql, None);
        assert!(matches!(error, EngineError::Unsupported { .. }) || error.sqlstate() == "42P01", "{sql}: {error}");
    }
    assert!(!place.folder.path().join("out.csv").exists());
    for (sql, state) in [("selec 1", "42601"), ("select nothing from chunks", "42703"), ("select 1 / 0", "22012")] {
        let error = session.error(sql, None);
        assert_eq!(error.sqlstate(), state, "{sql}: {error}");
    }
}

/// Whatever is asked can be given up soon.
#[test]
fn an_endless_statement_is_interrupted_soon() {
    let (_place, mut session) = Place::with_chunks(2000);
    let interrupter = session.0.interrupter();
    let (said, hears) = mpsc::channel();
    let asking = thread::spawn(move || {
        said.send(()).expect("it listens");
        let endless = "select count(*) from chunks a, chunks b, chunks c, chunks d where a.id + b.id + c.id + d.id = 3";
        session.one(endless, None).map(|batches| text(&batches))
    });
    hears.recv().expect("it begins");
    thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    while !asking.is_finished() {
        interrupter.interrupt();
        thread::sleep(Duration::from_millis(5));
    }
    let took = began.elapsed();
    let outcome = asking.join().expect("its end");
    assert!(matches!(outcome, Err(EngineError::Interrupted)), "{outcome:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

/// Two owners of one directory, as with a foreign program beside us: nothing is lost, and nobody is told of a conflict.
#[test]
fn writers_beside_us_are_met_at_the_commit() {
    let (place, mut session) = Place::with_chunks(0);
    let other = place.beside();
    let mut foreign = common::Session::of(&other, dbmux_engine::SessionOptions::default());
    let writes = thread::spawn(move || {
        let merge = r#"{"merge_insert": {"table": "chunks", "on": ["id"]}}"#;
        for id in 0..20 {
            foreign.change(merge, &chunks([id], "theirs"));
        }
        other.release().expect("released");
    });
    for id in 20..40 {
        session.change(ADD, &chunks([id], "ours"));
    }
    writes.join().expect("its end");
    assert_eq!(
        session.text("select text, count(distinct id), count(*) from chunks group by text order by text"),
        "ours|20|20\ntheirs|20|20"
    );
    session.run(r#"{"optimize": {"table": "chunks"}}"#);
    assert_eq!(session.text(r#"{"count": {"table": "chunks"}}"#), "40");
    place.engine.verify(true).expect("it is there");
}
