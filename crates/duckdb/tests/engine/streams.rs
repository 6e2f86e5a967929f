//! Results as streams, and memory: none is kept, and all is given back.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by panicking"
)]

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use crate::support::Database;
use arrow::array::Array;
use dbmux_duckdb::DuckDbOptions;
use dbmux_engine::{Access, Engine, EngineError};

const MIB: u64 = 1 << 20;

/// What this process has in memory of its own: how much of the program's file is there as well is the system's affair.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Runs one of the ignored tests below in a process of its own: memory is a process's.
fn in_a_process(test: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    println!("{text}");
}

#[test]
fn a_large_result_does_not_grow_the_process() {
    in_a_process("streams::child_large_result");
}

#[test]
#[ignore = "run by the test above"]
fn child_large_result() {
    let database = Database::new("a.db");
    let mut session = database.session();
    // More than four gigabytes of text.
    let prepared = session.0.prepare("SELECT i, repeat('x', 400) AS s FROM range(10000000) t(i)").unwrap();
    let before = resident();
    let (mut rows, mut peak, mut largest) = (0, 0, 0);
    let mut result = session.0.execute(prepared.id, None, false).unwrap();
    while let Some(batch) = result.next().unwrap() {
        rows += batch.num_rows();
        let size: usize = batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap()).sum();
        largest = largest.max(size as u64);
        peak = peak.max(resident());
    }
    assert_eq!(rows, 10_000_000);
    println!("peak {} MiB over the start, largest batch {} MiB", (peak - before) / MIB, largest / MIB);
    assert!(peak - before < 150 * MIB, "{} MiB", (peak - before) / MIB);
    assert!(largest < 5 * MIB, "{} MiB", largest / MIB);
}

#[test]
fn memory_goes_back_to_the_system() {
    in_a_process("streams::child_released_memory");
}

#[test]
#[ignore = "run by the test above"]
fn child_released_memory() {
    let database = Database::with("a.db", DuckDbOptions { threads: Some(4), ..DuckDbOptions::default() });
    let mut session = database.session();
    let started = resident();
    session.run("CREATE TABLE t AS SELECT i, hash(i) AS h, 'name ' || (i % 100000) AS s FROM range(20000000) r(i)");
    session.run("SELECT s, count(*), sum(h::HUGEINT) FROM t GROUP BY s ORDER BY 2 DESC, 1 LIMIT 10");
    session.run("SELECT h FROM t ORDER BY h LIMIT 5");
    let busy = resident();
    let released = Instant::now();
    database.engine.release().unwrap();
    database.engine.tidy();
    let release = released.elapsed();
    database.engine.tidy();
    let idle = resident();
    println!("started {} MiB, busy {} MiB, released {} MiB, in {release:?}", started / MIB, busy / MIB, idle / MIB);
    assert!(busy > 150 * MIB, "the test asks for something: {} MiB", busy / MIB);
    assert!(idle < 50 * MIB, "{} MiB", idle / MIB);
    // Again, from the file.
    database.engine.attach(Access::ReadWrite).unwrap();
    session.run("SELECT count(*), sum(h::HUGEINT), max(s) FROM t");
    database.engine.release().unwrap();
    database.engine.tidy();
    assert!(resident() < 50 * MIB, "{} MiB", resident() / MIB);
}

#[test]
fn five_million_rows_are_fast() {
    let database = Database::new("a.db");
    let mut session = database.session();
    session
        .run("CREATE TABLE t AS SELECT i, i * 0.5::DOUBLE AS d, 'text ' || (i % 1000) AS s FROM range(5000000) r(i)");
    let prepared = session.0.prepare("SELECT * FROM t").unwrap();
    let started = Instant::now();
    let mut first = None;
    let (mut rows, mut batches) = (0, 0);
    let mut result = session.0.execute(prepared.id, None, false).unwrap();
    while let Some(batch) = result.next().unwrap() {
        first.get_or_insert_with(|| started.elapsed());
        rows += batch.num_rows();
        batches += 1;
    }
    let all = started.elapsed();
    println!("{rows} rows in {batches} batches: first after {:?}, all after {all:?}", first.unwrap());
    assert_eq!(rows, 5_000_000);
    assert!(all < Duration::from_secs(20), "{all:?}");
}

#[test]
fn the_first_rows_do_not_wait_for_the_last() {
    let database = Database::new("a.db");
    let mut session = database.session();
    let prepared = session.0.prepare("SELECT i FROM range(10000000000) t(i)").unwrap();
    let started = Instant::now();
    let mut result = session.0.execute(prepared.id, None, false).unwrap();
    result.next().unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    drop(result);
    assert!(started.elapsed() < Duration::from_secs(3), "what nobody reads is not made");
    assert_eq!(session.one("SELECT 1"), "1");
}

#[test]
fn a_result_that_is_not_read_is_ended() {
    let database = Database::new("a.db");
    let mut session = database.session();
    session.run("CREATE TABLE t AS SELECT i FROM range(1000000) r(i)");
    let prepared = session.0.prepare("SELECT * FROM t").unwrap();
    {
        let mut result = session.0.execute(prepared.id, None, false).unwrap();
        result.next().unwrap().unwrap();
    }
    assert!(!session.0.state().in_transaction);
    database.engine.release().unwrap();
    crate::support::Foreign::start().ask("read", database.path.to_str().unwrap()).unwrap_err();
    database.engine.attach(Access::ReadWrite).unwrap();
    // A writing one is undone as a whole.
    let prepared = session.0.prepare("INSERT INTO t SELECT i FROM range(100) r(i) RETURNING i").unwrap();
    let mut result = session.0.execute(prepared.id, None, false).unwrap();
    while result.next().unwrap().is_some() {}
    drop(result);
    assert_eq!(session.one("SELECT count(*) FROM t"), "1000100");
}

#[test]
fn what_does_not_fit_in_memory_is_spilled_beside_the_file() {
    let options = DuckDbOptions { memory_limit: Some("150MB".to_owned()), ..DuckDbOptions::default() };
    let database = Database::with("a.db", options.clone());
    let mut session = database.session();
    let prepared =
        session.0.prepare("SELECT i, hash(i) AS h, repeat('y', 50) FROM range(6000000) t(i) ORDER BY h").unwrap();
    let scratch = database.path.with_file_name("a.db.tmp");
    {
        let mut result = session.0.execute(prepared.id, None, false).unwrap();
        result.next().unwrap().unwrap();
        assert!(fs::read_dir(scratch.join("dbmux")).unwrap().count() > 0, "it was spilled");
    }
    drop(session);
    let Database { folder, path, engine } = database;
    engine.release().unwrap();
    drop(engine);
    assert!(!scratch.exists(), "{:?}", fs::read_dir(&scratch).map(|entries| entries.count()));
    // What a killed owner left is swept by the next one; what is not ours is left.
    fs::create_dir_all(scratch.join("dbmux")).unwrap();
    fs::write(scratch.join("dbmux/duckdb_temp_storage_DEFAULT-0.tmp"), "left").unwrap();
    fs::write(scratch.join("foreign.tmp"), "not ours").unwrap();
    let engine = dbmux_duckdb::DuckDbEngine::new(&path, options).unwrap();
    engine.attach(Access::ReadWrite).unwrap();
    assert!(!scratch.join("dbmux").exists());
    assert!(scratch.join("foreign.tmp").exists());
    // In this order: what the engine has open is not removed.
    drop(engine);
    drop(folder);
}

#[test]
fn a_full_disk_is_told() {
    let database = Database::new("a.db");
    let mut session = database.session();
    let answer = session.try_run("COPY (SELECT repeat('x', 1000) FROM range(10000)) TO '/dev/full' (FORMAT csv)");
    assert!(matches!(answer, Err(EngineError::DiskFull { .. })), "{answer:?}");
    assert_eq!(session.one("SELECT 1"), "1");
}
