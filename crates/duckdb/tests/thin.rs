//! The shortest way through: attach, ask, release, ask again.

use arrow::{array::AsArray, datatypes::Int32Type};
use dbmux_duckdb::{DuckDbEngine, DuckDbOptions};
use dbmux_engine::{Access, Engine, EngineSession, SessionOptions};

fn run(session: &mut dyn EngineSession, sql: &str) -> Vec<arrow::array::RecordBatch> {
    let prepared = session.prepare(sql).unwrap();
    let mut rows = session.execute(prepared.id, None, false).unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = rows.next().unwrap() {
        batches.push(batch);
    }
    batches
}

#[test]
fn attach_write_release_attach_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sales.duckdb");
    let engine = DuckDbEngine::new(&path, DuckDbOptions::default()).unwrap();
    assert!(!path.exists(), "nothing is opened before attach");
    let mut session = engine.open_session(&SessionOptions::default()).unwrap();
    engine.attach(Access::ReadWrite).unwrap();
    run(&mut *session, "CREATE TABLE orders (id INTEGER, what VARCHAR)");
    run(&mut *session, "CREATE TEMP TABLE mine AS SELECT 7 AS x");
    let changed = run(&mut *session, "INSERT INTO orders VALUES (1, 'a'), (2, 'b')");
    assert_eq!(changed[0].column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0), 2);
    engine.release().unwrap();
    assert!(engine.attachment().is_none());
    engine.attach(Access::ReadWrite).unwrap();
    let rows = run(&mut *session, "SELECT id FROM sales.main.orders ORDER BY id");
    assert_eq!(rows[0].column(0).as_primitive::<Int32Type>().values(), &[1, 2]);
    let rows = run(&mut *session, "SELECT x FROM mine");
    assert_eq!(rows[0].column(0).as_primitive::<Int32Type>().values(), &[7]);
    engine.verify(true).unwrap();
}
