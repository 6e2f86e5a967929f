//! The broker is killed again and again under six writers: nothing acknowledged is lost, nothing is sent twice, and
//! every writer goes on.
//!
//! Each writer goes another way: a process a statement, sessions that live on, parameters, transactions. Each row has a
//! number of its own, so that a row that is there twice was sent twice.

#![expect(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test ends by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use dbmux_client::{ClientError, ClientOptions, ErrorCode, Statement, blocking};
use dbmux_testkit::{Dice, Place, seed, soak_time};

const WRITERS: u64 = 6;
/// "The outcome is unknown: look before you repeat it."
const OUTCOME_UNKNOWN: i32 = 76;

/// What one writer was told.
#[derive(Default)]
struct Told {
    acknowledged: Vec<u64>,
    unknown: Vec<u64>,
    /// Told that it has not happened.
    lost: Vec<u64>,
}

impl Told {
    fn hear(&mut self, ids: &[u64], answer: Result<u64, ClientError>) {
        match answer {
            Ok(_) => self.acknowledged.extend(ids),
            Err(error) if error.is_outcome_unknown() => self.unknown.extend(ids),
            Err(error) => panic!("neither a success nor an unknown outcome: {:?}: {error}", error.code()),
        }
    }
}

/// The numbers of one writer, until it is over.
fn numbers(writer: u64, over: &AtomicBool) -> impl Iterator<Item = u64> {
    (0..).map(move |turn| turn * WRITERS + writer).take_while(|_| !over.load(Ordering::Relaxed))
}

/// One process a statement.
fn by_processes(place: &Place, writer: u64, over: &AtomicBool) -> Told {
    let mut told = Told::default();
    for id in numbers(writer, over) {
        let output = place.run(["sql", "a.duckdb", &format!("insert into t values ({id})")]);
        match output.status.code() {
            Some(0) => told.acknowledged.push(id),
            Some(OUTCOME_UNKNOWN) => told.unknown.push(id),
            code => panic!(
                "neither a success nor an unknown outcome: {code:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            ),
        }
    }
    told
}

fn session(place: &Place) -> blocking::Session {
    let options = ClientOptions { wait: Duration::from_secs(60), ..ClientOptions::default() };
    place.blocking_client("a.duckdb", options).session().expect("a session")
}

/// One session that lives on, whatever becomes of its brokers.
fn by_a_session(place: &Place, writer: u64, over: &AtomicBool) -> Told {
    let (mut told, session) = (Told::default(), session(place));
    for id in numbers(writer, over) {
        // Every second one is not of the kind that is merged.
        let sql = match id % 4 < 2 {
            true => format!("insert into t values ({id})"),
            false => format!("insert into t select {id}"),
        };
        told.hear(&[id], session.execute(sql));
    }
    told
}

/// The same with parameters.
fn by_parameters(place: &Place, writer: u64, over: &AtomicBool) -> Told {
    let (mut told, session) = (Told::default(), session(place));
    for id in numbers(writer, over) {
        let value = i64::try_from(id).expect("a small number");
        told.hear(&[id], session.execute(Statement::new("insert into t values (?)").bind(value)));
    }
    told
}

/// Transactions of two rows: both are there, or none.
fn by_transactions(place: &Place, writer: u64, over: &AtomicBool) -> Told {
    let (mut told, session) = (Told::default(), session(place));
    for id in numbers(writer, over) {
        // Numbers that no writer has by itself.
        let ids = [id, (1 << 40) + id];
        let rows = ids.map(|id| format!("insert into t values ({id})"));
        // Before its COMMIT is sent nothing has happened; what a lost session had is undone.
        let begun = session.execute("begin").and_then(|_| session.execute(rows[0].as_str()));
        let ready = begun.and_then(|_| session.execute(rows[1].as_str()));
        let undone = |error: &ClientError| error.code() == ErrorCode::SessionLost;
        match ready.map(|_| session.execute("commit")) {
            // The broker was gone before the COMMIT was sent, or while it went about the rest.
            Ok(Err(error)) | Err(error) if undone(&error) => told.lost.extend(ids),
            // Of a BEGIN that was on its way.
            Err(error) if error.is_outcome_unknown() => told.lost.extend(ids),
            Ok(committed) => told.hear(&ids, committed),
            Err(error) => panic!("{:?}: {error}", error.code()),
        }
    }
    told
}

fn write(place: &Place, writer: u64, over: &AtomicBool) -> Told {
    match writer {
        0 | 1 => by_processes(place, writer, over),
        2 | 3 => by_a_session(place, writer, over),
        4 => by_parameters(place, writer, over),
        _ => by_transactions(place, writer, over),
    }
}

/// Kills brokers under the writers for this long. Answers with what they were told.
fn storm(place: &Place, time: Duration) -> Told {
    let mut dice = Dice(seed());
    let (over, mut kills, began) = (AtomicBool::new(false), 0, Instant::now());
    let told: Vec<Told> = std::thread::scope(|scope| {
        let over = &over;
        let workers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(place, writer, over))).collect();
        while began.elapsed() < time && workers.iter().all(|worker| !worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(10 + dice.roll(400)));
            kills += place.kill_brokers();
        }
        over.store(true, Ordering::Relaxed);
        workers.into_iter().map(|worker| worker.join().expect("a writer failed")).collect()
    });
    let mut all = Told::default();
    for (writer, told) in told.into_iter().enumerate() {
        println!(
            "writer {writer}: {} acknowledged, {} unknown, {} lost",
            told.acknowledged.len(),
            told.unknown.len(),
            told.lost.len()
        );
        assert!(!told.acknowledged.is_empty(), "writer {writer} did nothing");
        all.acknowledged.extend(told.acknowledged);
        all.unknown.extend(told.unknown);
        all.lost.extend(told.lost);
    }
    println!("{kills} kills in {:?}", began.elapsed());
    assert!(kills >= 5, "this test saw nothing");
    all
}

fn nothing_acknowledged_is_lost_in(time: Duration) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    place.sql("a.duckdb", "create table t (id bigint)");
    let told = storm(&place, time);
    let rows = place.sql("a.duckdb", "select id, count(*) from t group by id");
    let rows: BTreeMap<u64, u64> = rows
        .lines()
        .map(|line| line.split_once(',').expect("two numbers"))
        .map(|(id, count)| (id.parse().expect("a number"), count.parse().expect("a number")))
        .collect();
    for (id, count) in &rows {
        assert_eq!(*count, 1, "row {id} is there {count} times");
    }
    for id in &told.acknowledged {
        assert!(rows.contains_key(id), "row {id} was acknowledged, and is gone");
    }
    for id in &told.lost {
        assert!(!rows.contains_key(id), "row {id} was told to be undone, and is there");
    }
    let known: BTreeSet<u64> = told.acknowledged.iter().chain(&told.unknown).copied().collect();
    assert!(rows.keys().all(|id| known.contains(id)), "there are rows that nobody was told of");
    let halves = rows.keys().filter(|id| **id >= 1 << 40).map(|id| id - (1 << 40));
    assert!(halves.into_iter().all(|id| rows.contains_key(&id)), "half of a transaction is there");
}

#[test]
fn nothing_acknowledged_is_lost_whenever_the_broker_is_killed() {
    nothing_acknowledged_is_lost_in(Duration::from_secs(60));
}

#[test]
#[ignore = "for minutes: just soak"]
fn soak_nothing_acknowledged_is_lost_whenever_the_broker_is_killed() {
    nothing_acknowledged_is_lost_in(soak_time());
}
