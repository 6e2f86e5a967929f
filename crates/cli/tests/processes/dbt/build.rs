//! dbt builds while everybody else is connected.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use dbmux_client::{ClientOptions, blocking::Client};

use super::shop::{Shop, text};

/// Long enough for the whole of a build on a busy machine.
const PATIENT: Duration = Duration::from_secs(120);

#[test]
fn a_build_beside_readers_and_writers_fails_nobody() {
    let shop = Shop::new();
    shop.succeeds(&["build"]);
    let expected = shop.contents();
    shop.sql("CREATE SCHEMA app");
    shop.sql("CREATE TABLE app.log (writer INTEGER, number BIGINT)");
    let client =
        || shop.place.blocking_client(&shop.database(), ClientOptions { wait: PATIENT, ..ClientOptions::default() });
    let over = AtomicBool::new(false);
    let (labelled, rows) = (AtomicU64::new(0), [AtomicU64::new(0), AtomicU64::new(0)]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| read(&client(), &over, &labelled));
        }
        for (writer, written) in rows.iter().enumerate() {
            let client = client();
            let over = &over;
            scope.spawn(move || write(&client, writer, over, written));
        }
        // Both kinds are at it before dbt comes.
        dbmux_testkit::until("they have begun", || rows.iter().all(|rows| rows.load(Ordering::Relaxed) > 3));
        let output = shop.run(&["build"]);
        let after: Vec<u64> = rows.iter().map(|rows| rows.load(Ordering::Relaxed)).collect();
        dbmux_testkit::until("they go on", || {
            rows.iter().zip(&after).all(|(rows, then)| rows.load(Ordering::Relaxed) > then + 3)
        });
        over.store(true, Ordering::Relaxed);
        assert!(output.status.success(), "{}", text(&output));
    });
    for (writer, written) in rows.iter().enumerate() {
        let there = shop.sql(&format!("SELECT count(*), count(DISTINCT number) FROM app.log WHERE writer = {writer}"));
        let written = written.load(Ordering::Relaxed);
        assert_eq!(there, format!("{written},{written}"), "each acknowledged row is there once");
    }
    assert!(labelled.load(Ordering::Relaxed) > 0, "answers from the snapshot say so");
    assert_eq!(shop.contents(), expected, "and so is what dbt built");
}

fn read(client: &Client, over: &AtomicBool, labelled: &AtomicU64) {
    let session = client.session().expect("a session");
    let mut last = 0;
    while !over.load(Ordering::Relaxed) {
        let answer = session.query("SELECT count(*) AS n FROM app.log").expect("a read");
        let from_snapshot = answer.as_of().is_some();
        labelled.fetch_add(u64::from(from_snapshot), Ordering::Relaxed);
        let batches = answer.collect().expect("its rows");
        let count = batches[0].column(0).as_any().downcast_ref::<arrow::array::Int64Array>().expect("a count").value(0);
        // A snapshot stands still; nothing that was seen goes away.
        assert!(count >= last, "{count} rows after {last}");
        last = count;
    }
}

fn write(client: &Client, writer: usize, over: &AtomicBool, written: &AtomicU64) {
    let session = client.session().expect("a session");
    while !over.load(Ordering::Relaxed) {
        let number = written.load(Ordering::Relaxed);
        session.execute(format!("INSERT INTO app.log VALUES ({writer}, {number})").as_str()).expect("a write");
        written.store(number + 1, Ordering::Relaxed);
    }
}

#[test]
fn what_needs_no_database_takes_none() {
    let shop = Shop::new();
    shop.succeeds(&["seed"]);
    // Somebody has the file open, and does not let go.
    let mut holder = std::process::Command::new(dbmux_testkit::dbt_python());
    let code = format!(
        "import duckdb, time; c = duckdb.connect({:?}); print('open', flush=True); time.sleep(600)",
        shop.database()
    );
    holder.args(["-c", &code]).stdout(std::process::Stdio::piped());
    shop.place.kill_brokers();
    let mut holder = super::shop::Guarded(holder.spawn().expect("Python"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.0.stdout.as_mut().expect("output")), &mut line)
        .expect("a line");
    for command in [&["parse"][..], &["ls", "--quiet"], &["clean"], &["deps"]] {
        shop.succeeds(command);
    }
    let output = shop.dbmux(&["dbt", "--wait", "1s", "run", "--select", "m_1", "--json"]).output().expect("dbmux runs");
    assert_eq!(output.status.code(), Some(75), "{}", text(&output));
    assert!(
        text(&output).contains("DATABASE_LOCKED") && text(&output).contains(&holder.0.id().to_string()),
        "{}",
        text(&output)
    );
}

#[test]
fn inside_a_lease_dbt_is_part_of_it() {
    let shop = Shop::new();
    let database = shop.database();
    let binary = shop.place.binary().display().to_string();
    let output =
        shop.dbmux(&["run", &database, "--", &binary, "dbt", "run", "--select", "m_1"]).output().expect("dbmux runs");
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(shop.sql("SELECT count(*) > 0 FROM m_1"), "true");
}

#[test]
fn what_is_no_work_on_the_project_is_dbts_own() {
    let shop = Shop::new();
    for arguments in [&["--version"][..], &["run", "--help"]] {
        let ours = shop.run(arguments);
        let plain = shop.dbt(arguments).output().expect("dbt runs");
        assert_eq!((ours.status.code(), ours.stdout), (plain.status.code(), plain.stdout), "{arguments:?}");
    }
    assert!(shop.place.runners().is_empty(), "no runner is started for it");
    let output = shop.place.run(["dbt", "run"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("no dbt_project.yml in"), "{}", text(&output));
}
