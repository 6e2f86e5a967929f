//! The broker is killed again and again under six writers: nothing acknowledged is lost, nothing is sent twice.

#![expect(clippy::panic, reason = "a test ends by panicking")]

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use dbmux_testkit::{Dice, Place, seed};

const WRITERS: u64 = 6;
/// "The outcome is unknown: look before you repeat it."
const OUTCOME_UNKNOWN: i32 = 76;

/// What one writer was told.
#[derive(Default)]
struct Told {
    acknowledged: Vec<u64>,
    unknown: Vec<u64>,
}

/// Inserts one row a process, until it is over.
fn write(place: &Place, writer: u64, over: &AtomicBool) -> Told {
    let mut told = Told::default();
    for turn in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let id = turn * WRITERS + writer;
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

#[test]
fn nothing_acknowledged_is_lost_whenever_the_broker_is_killed() {
    let minutes = std::env::var("DBMUX_SOAK_MINUTES").ok().and_then(|text| text.parse::<u64>().ok());
    let time = Duration::from_secs(minutes.map_or(12, |minutes| minutes * 60));
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let mut dice = Dice(seed());
    place.sql("a.duckdb", "create table t (id bigint)");
    let (over, mut kills, began) = (AtomicBool::new(false), 0, Instant::now());
    let told: Vec<Told> = std::thread::scope(|scope| {
        let (place, over) = (&place, &over);
        let workers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(place, writer, over))).collect();
        while began.elapsed() < time && workers.iter().all(|worker| !worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(30 + dice.roll(400)));
            kills += place.kill_brokers();
        }
        over.store(true, Ordering::Relaxed);
        workers.into_iter().map(|worker| worker.join().expect("a writer failed")).collect()
    });
    let acknowledged: Vec<u64> = told.iter().flat_map(|told| told.acknowledged.clone()).collect();
    let unknown: usize = told.iter().map(|told| told.unknown.len()).sum();
    println!("{kills} kills, {} acknowledged, {unknown} unknown", acknowledged.len());
    assert!(kills >= 5 && acknowledged.len() > 20, "this test saw nothing");

    let rows = place.sql("a.duckdb", "select id from t order by id");
    let rows: Vec<u64> = rows.lines().map(|line| line.parse().expect("a number")).collect();
    assert!(rows.windows(2).all(|pair| pair[0] != pair[1]), "a row is there twice");
    for id in &acknowledged {
        assert!(rows.binary_search(id).is_ok(), "row {id} was acknowledged, and is gone");
    }
    assert!(rows.len() <= acknowledged.len() + unknown, "there are rows that nobody was told of");
}
