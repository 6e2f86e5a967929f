//! Indices, and few files of many, while others write to the table.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    thread,
};

use arrow::{array::Int64Array, compute::concat_batches};

use crate::support::{ADD, COUNT, Database, MERGE, changed, chunks, chunks_of, column, near, numbers, run};

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
                let rows = concat_batches(&rows[0].schema(), &rows[usize::from(written == 0)..]).unwrap();
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

#[test]
fn a_large_file_is_left_as_it_is_while_nobody_pauses() {
    let database = Database::with_chunks(10_000);
    let mut session = database.session();
    for batch in 0..32 {
        let old = chunks_of(batch * 100..batch * 100 + 100, "changed");
        assert_eq!(changed(session.as_mut(), MERGE, Some(&old)), 100);
    }
    // A third of its rows are deleted in it by now. 32 files were written, and what was made of them has 256 rows each.
    let files = fs::read_dir(database.path.join("chunks.lance/data")).unwrap().count();
    assert!(files < 60, "{files} files");
    assert_eq!(numbers(session.as_mut(), COUNT, None), [10_000]);
}
