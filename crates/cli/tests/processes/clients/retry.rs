//! What the client sends again when the broker is killed under a statement, and what it never does.
//!
//! A foreign process that holds the file keeps statements at the broker for as long as a test likes.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use arrow::{array::AsArray, datatypes::Int64Type};
use dbmux_client::{Answer, Client, ClientError, ClientOptions, Statement, StatusReply};
use dbmux_testkit::{Dice, Foreign, Place, seed};

/// How long anything may take that must come, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Answers with so many rows, in many batches.
const MANY: i64 = 3_000_000;

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

/// A client whose brokers release the file soon, and make files that DuckDB 1.5 opens too.
fn client(place: &Place) -> Client {
    let arguments = ["--release-after", "50ms", "--storage-version", "v1.2.0"].map(Into::into).into();
    place.client("a.duckdb", ClientOptions { broker_arguments: arguments, ..ClientOptions::default() })
}

/// A database with a table of one row, which a foreign process holds.
async fn held(place: &Place) -> (Client, Foreign) {
    let client = client(place);
    let session = client.session().await.expect("a session");
    session.execute("create table t as select 7::bigint as i").await.expect("a table");
    let mut foreign = Foreign::start();
    let began = Instant::now();
    while !foreign.open(&place.path("a.duckdb"), false).starts_with("ok") {
        assert!(began.elapsed() < PATIENCE, "it was never let go");
    }
    (client, foreign)
}

/// Waits until the broker has the statement.
async fn arrived(client: &Client, sql: &str, not_at: u32) -> StatusReply {
    let began = Instant::now();
    loop {
        if let Ok(Some(status)) = client.status().await
            && status.pid != not_at
            && status.running.iter().chain(&status.queued).any(|statement| statement.sql == sql)
        {
            return status;
        }
        assert!(began.elapsed() < PATIENCE, "it never came: {sql}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn number(answer: Result<Answer, ClientError>) -> Result<i64, ClientError> {
    let batches = answer?.collect().await?;
    Ok(batches[0].column(0).as_primitive::<Int64Type>().value(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_is_sent_again_once() {
    let place = place();
    let (client, mut foreign) = held(&place).await;
    let session = client.session().await.expect("a session");
    let sql = "select sum(i)::bigint from t";
    let reading = tokio::spawn(async move { (number(session.run(sql).await).await, session) });
    let first = arrived(&client, sql, 0).await.pid;
    place.kill_brokers();
    arrived(&client, sql, first).await;
    foreign.close();
    let (read, session) = reading.await.expect("it ends");
    assert_eq!(read.expect("the second broker answers"), 7);

    // And no more than once: whatever kills two brokers would kill a third one.
    let mut foreign = reopen(&place, foreign);
    let reading = tokio::spawn(async move { number(session.run(sql).await).await });
    let first = arrived(&client, sql, first).await.pid;
    place.kill_brokers();
    arrived(&client, sql, first).await;
    place.kill_brokers();
    let error = reading.await.expect("it ends").expect_err("its second broker is gone");
    assert!(matches!(error, ClientError::AnswerLost { .. }) && error.is_temporary(), "{error}");
    assert!(place.brokers().is_empty(), "a third one was started");
    foreign.kill();
}

/// Opens the file again, when the broker has let go of it.
fn reopen(place: &Place, mut foreign: Foreign) -> Foreign {
    let began = Instant::now();
    while !foreign.open(&place.path("a.duckdb"), false).starts_with("ok") {
        assert!(began.elapsed() < PATIENCE, "it was never let go");
    }
    foreign
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_never_sent_again() {
    let place = place();
    let (client, mut foreign) = held(&place).await;
    for sql in [
        "insert into t values (8)",
        "with w as (insert into t values (9) returning i) select * from w",
        "select 1; insert into t values (10)",
        "create table u as select 1 as i",
    ] {
        let session = client.session().await.expect("a session");
        let writing = tokio::spawn(async move { session.execute(sql).await });
        arrived(&client, sql, 0).await;
        place.kill_brokers();
        let error = writing.await.expect("it ends").expect_err("its broker is gone");
        assert!(error.is_outcome_unknown(), "{sql}: {error}");
        assert!(place.brokers().is_empty(), "{sql}: it was sent again");
    }
    foreign.close();
    let session = client.session().await.expect("a session");
    assert_eq!(number(session.run("select sum(i)::bigint from t").await).await.expect("a sum"), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_in_a_transaction_is_never_sent_again() {
    let place = place();
    let client = client(&place);
    let session = client.session().await.expect("a session");
    session.execute("begin").await.expect("begun");
    let sql = "select count(*) from range(10000000) a(i), range(10000000) b(i) where (a.i + b.i) % 7 = 0";
    let reading = tokio::spawn(async move { session.execute(sql).await });
    arrived(&client, sql, 0).await;
    place.kill_brokers();
    let error = reading.await.expect("it ends").expect_err("its transaction is gone");
    assert!(matches!(error, ClientError::SessionLost { .. }), "{error}");
    assert!(place.brokers().is_empty(), "it was sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_is_not_sent_again_after_its_deadline() {
    let place = place();
    let client = client(&place);
    let session = client.session().await.expect("a session");
    let wait = Duration::from_millis(200);
    let sql = "select count(*) from range(10000000) a(i), range(10000000) b(i) where (a.i + b.i) % 7 = 0";
    let began = Instant::now();
    let reading = tokio::spawn(async move { session.execute(Statement::new(sql).wait(wait)).await });
    arrived(&client, sql, 0).await;
    tokio::time::sleep(wait.saturating_sub(began.elapsed()) + Duration::from_millis(100)).await;
    place.kill_brokers();
    let error = reading.await.expect("it ends").expect_err("its broker is gone");
    assert!(matches!(error, ClientError::AnswerLost { .. }), "{error}");
    assert!(place.brokers().is_empty(), "it was sent again");
}

#[tokio::test]
async fn a_read_is_sent_again_only_while_nobody_has_seen_a_row() {
    let place = place();
    let client = client(&place);
    let session = client.session().await.expect("a session");
    let sql = format!("select i, repeat('x', 100) from range({MANY}) t(i)");
    // A row was given out: what comes then would not go with it.
    let mut answer = session.run(sql.as_str()).await.expect("it begins");
    answer.next().await.expect("a batch").expect("there are many");
    place.kill_brokers();
    let error = loop {
        match answer.next().await {
            Ok(batch) => assert!(batch.is_some(), "an answer that was cut off looks whole"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ClientError::AnswerLost { .. }), "{error}");
    assert!(answer.next().await.expect("it is over").is_none());
    assert!(place.brokers().is_empty(), "it was sent again");
    // Only the columns were seen: it begins again, and is whole.
    let answer = session.run(sql.as_str()).await.expect("it begins");
    place.kill_brokers();
    let batches = answer.collect().await.expect("another broker answers");
    let rows: i64 = batches.iter().map(|batch| i64::try_from(batch.num_rows()).expect("a number")).sum();
    let sum: i64 = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).sum();
    assert_eq!((rows, sum), (MANY, MANY * (MANY - 1) / 2), "no row twice, and none left out");
}

const WRITERS: u64 = 4;
const READERS: usize = 2;

/// What one writer was told.
#[derive(Default)]
struct Told {
    acknowledged: Vec<u64>,
    unknown: Vec<u64>,
}

async fn write(client: Client, writer: u64, over: &'static AtomicBool) -> Told {
    let mut told = Told::default();
    for turn in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let id = turn * WRITERS + writer;
        let written = async { client.session().await?.execute(format!("insert into t values ({id})")).await };
        match written.await {
            Ok(rows) => {
                assert_eq!(rows, 1);
                told.acknowledged.push(id);
            }
            Err(error) if error.is_outcome_unknown() => told.unknown.push(id),
            Err(error) => unreachable!("neither a success nor an unknown outcome: {error}"),
        }
    }
    told
}

/// Reads again and again; every read succeeds, and none sees less than the one before.
async fn read(client: Client, reads: &'static AtomicU64, over: &'static AtomicBool) {
    let mut last = 0;
    while !over.load(Ordering::Relaxed) {
        let session = client.session().await.expect("a session");
        let rows = number(session.run("select count(*) from t").await).await.expect("a read succeeds");
        assert!(rows >= last, "{rows} rows after {last}");
        last = rows;
        reads.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_and_reads_under_a_killed_broker_nothing_acknowledged_is_lost() {
    static OVER: AtomicBool = AtomicBool::new(false);
    static READS: [AtomicU64; READERS] = [const { AtomicU64::new(0) }; READERS];
    let minutes = std::env::var("DBMUX_SOAK_MINUTES").ok().and_then(|text| text.parse::<u64>().ok());
    let time = Duration::from_secs(minutes.map_or(6, |minutes| minutes * 60));
    let place = place();
    let mut dice = Dice(seed());
    let client = client(&place);
    client.session().await.expect("a session").execute("create table t (id bigint)").await.expect("a table");
    let writers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(write(client.clone(), writer, &OVER))).collect();
    let readers: Vec<_> = READS.iter().map(|reads| tokio::spawn(read(client.clone(), reads, &OVER))).collect();
    let (began, mut kills) = (Instant::now(), 0);
    while began.elapsed() < time && !readers.iter().any(tokio::task::JoinHandle::is_finished) {
        tokio::time::sleep(Duration::from_millis(dice.roll(300))).await;
        kills += place.kill_brokers();
        // The reads that this one met have had their second try before the next kill.
        let seen = READS.each_ref().map(|reads| reads.load(Ordering::Relaxed));
        let met = || READS.iter().zip(seen).all(|(reads, seen)| reads.load(Ordering::Relaxed) > seen);
        let killed = Instant::now();
        while !met() && !readers.iter().any(tokio::task::JoinHandle::is_finished) {
            assert!(killed.elapsed() < PATIENCE, "a read never ended");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    OVER.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.expect("a reader failed");
    }
    let mut told = Told::default();
    for writer in writers {
        let one = writer.await.expect("a writer failed");
        told.acknowledged.extend(one.acknowledged);
        told.unknown.extend(one.unknown);
    }
    let reads: u64 = READS.iter().map(|reads| reads.load(Ordering::Relaxed)).sum();
    println!("{kills} kills, {} acknowledged, {} unknown, {reads} reads", told.acknowledged.len(), told.unknown.len());
    assert!(kills >= 5 && told.acknowledged.len() > 20 && reads > 20, "this test saw nothing");

    let rows = place.sql("a.duckdb", "select id from t order by id");
    let rows: Vec<u64> = rows.lines().map(|line| line.parse().expect("a number")).collect();
    assert!(rows.windows(2).all(|pair| pair[0] != pair[1]), "a row is there twice");
    for id in &told.acknowledged {
        assert!(rows.binary_search(id).is_ok(), "row {id} was acknowledged, and is gone");
    }
    assert!(rows.len() <= told.acknowledged.len() + told.unknown.len(), "there are rows that nobody was told of");
}
