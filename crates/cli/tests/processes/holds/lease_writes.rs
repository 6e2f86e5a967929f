//! Writers go on while the file is handed over again and again, and brokers and commands are killed: every row that was
//! acknowledged is there, once.

#![expect(clippy::panic, reason = "a test ends by panicking")]

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use dbmux_client::{ClientOptions, ErrorCode};
use dbmux_testkit::{Dice, Foreign, Place, seed};
use rustix::process::{Pid, Signal, kill_process};

/// For how long.
const TIME: Duration = Duration::from_secs(8);

/// What one writer was told of its rows.
#[derive(Default)]
struct Told {
    done: BTreeSet<u64>,
    unknown: BTreeSet<u64>,
}

/// Writes rows, each once, until it is told to stop.
fn write(place: &Place, writer: u64, stop: &AtomicBool) -> Told {
    let client = place.blocking_client("a.duckdb", ClientOptions::default());
    let mut told = Told::default();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let row = writer * 1_000_000 + n;
        let written =
            client.session().and_then(|session| session.execute(format!("insert into t values ({row})").as_str()));
        match written {
            Ok(_) => drop(told.done.insert(row)),
            Err(error) if error.code() == ErrorCode::OutcomeUnknown => drop(told.unknown.insert(row)),
            Err(error) if error.code() == ErrorCode::SessionLost || error.is_temporary() => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    told
}

#[test]
fn no_acknowledged_row_is_lost_between_leases_and_kills() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    place.make("a.duckdb", "create table t (i bigint)");
    let (stop, mut dice) = (AtomicBool::new(false), Dice(seed()));
    let (told, tools, leases) = std::thread::scope(|scope| {
        let writers: Vec<_> = (1..=3)
            .map(|writer| {
                scope.spawn({
                    let (place, stop) = (&place, &stop);
                    move || write(place, writer, stop)
                })
            })
            .collect();
        let (mut tools, mut leases, began) = (BTreeSet::new(), 0, Instant::now());
        while began.elapsed() < TIME {
            let mut tool = Foreign::leased(&place, &["a.duckdb", "--wait", "30s"]);
            leases += 1;
            for _ in 0..=dice.roll(3) {
                assert!(tool.open(&place.path("a.duckdb"), false).starts_with("ok"), "somebody else had the file");
                let row = 100_000_000 + tools.len() as u64;
                assert_eq!(tool.sql(&format!("insert into t values ({row})")), "ok [(1,)]");
                tools.insert(row);
                match dice.roll(6) {
                    0 => drop(place.kill_brokers()),
                    1 => tool.kill(),
                    2 => {
                        let pid = i32::try_from(tool.own_pid()).ok().and_then(Pid::from_raw).expect("a process id");
                        kill_process(pid, Signal::KILL).expect("a signal");
                        break;
                    }
                    _ => tool.close(),
                }
                if dice.roll(4) == 0 {
                    break;
                }
            }
            tool.end();
        }
        stop.store(true, Ordering::Relaxed);
        (writers.into_iter().map(|writer| writer.join().expect("a writer")).collect::<Vec<_>>(), tools, leases)
    });
    let rows = place.sql("a.duckdb", "select i from t order by i");
    let rows: Vec<u64> = rows.lines().map(|row| row.parse().expect("a number")).collect();
    let there: BTreeSet<_> = rows.iter().copied().collect();
    assert_eq!(there.len(), rows.len(), "a row is there twice");
    let done: BTreeSet<_> = told.iter().flat_map(|told| &told.done).chain(&tools).copied().collect();
    let unknown: BTreeSet<_> = told.iter().flat_map(|told| &told.unknown).copied().collect();
    println!("{leases} leases, {} rows, {} unknown", rows.len(), unknown.len());
    let lost: Vec<_> = done.difference(&there).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let strange: Vec<_> = there.iter().filter(|row| !done.contains(row) && !unknown.contains(row)).collect();
    assert!(strange.is_empty(), "nobody was told of these, and they are there: {strange:?}");
    assert!(leases >= 5 && done.len() > 50, "too little happened: {leases} leases, {} rows", done.len());
}
