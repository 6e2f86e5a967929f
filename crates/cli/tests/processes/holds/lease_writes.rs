//! Writers go on while the file is handed over again and again, and brokers and commands are killed: every row that was
//! acknowledged is there, once. On each engine.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use dbmux_client::{ClientOptions, ErrorCode};
use dbmux_testkit::{Dice, Foreign, Kind, Place, T, seed, until};
use rustix::process::{Pid, Signal, kill_process};

use super::leased::one;

on_each_engine!(
    no_acknowledged_row_is_lost_between_leases_and_kills,
    a_lease_gives_the_file_away_and_what_was_before_answers,
);

/// For how long at least: a tool with LanceDB in it takes more than a second to start.
fn time(kind: Kind) -> Duration {
    Duration::from_secs(if kind == Kind::Lance { 20 } else { 8 })
}

/// Leases and rows of writers that make a test of it, however slow the machine is.
const ENOUGH: (usize, usize) = (5, 40);
/// For how long at most.
const LONGEST: Duration = Duration::from_secs(90);

/// What the writers go by, and tell while they write.
#[derive(Default)]
struct Going {
    stop: AtomicBool,
    written: AtomicUsize,
}

impl Going {
    fn is_enough(&self, leases: usize) -> bool {
        leases >= ENOUGH.0 && self.written.load(Ordering::Relaxed) >= ENOUGH.1
    }
}

/// What one writer was told of its rows.
#[derive(Default)]
struct Told {
    done: BTreeSet<i64>,
    unknown: BTreeSet<i64>,
}

/// Writes rows, each once, until it is told to stop.
fn write(kind: Kind, place: &Place, writer: i64, going: &Going) -> Told {
    let client = place.blocking_client(kind.file(), ClientOptions::default());
    let mut told = Told::default();
    for n in 0.. {
        if going.stop.load(Ordering::Relaxed) {
            break;
        }
        let row = writer * 1_000_000 + n;
        let written = client.session().and_then(|session| session.execute(kind.insert(T, &[&[row]])));
        match written {
            Ok(_) => {
                told.done.insert(row);
                going.written.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) if error.code() == ErrorCode::OutcomeUnknown => drop(told.unknown.insert(row)),
            Err(error) if error.code() == ErrorCode::SessionLost || error.is_temporary() => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    told
}

fn no_acknowledged_row_is_lost_between_leases_and_kills(kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    kind.make(&place, &kind.create(T));
    let (going, mut dice) = (Going::default(), Dice(seed()));
    let (told, tools, leases) = std::thread::scope(|scope| {
        let writers: Vec<_> = (1..=3)
            .map(|writer| {
                scope.spawn({
                    let (place, going) = (&place, &going);
                    move || write(kind, place, writer, going)
                })
            })
            .collect();
        let (mut tools, mut leases, began) = (BTreeSet::new(), 0, Instant::now());
        while began.elapsed() < time(kind) || (!going.is_enough(leases) && began.elapsed() < LONGEST) {
            let mut tool = Foreign::leased_of(kind, &place, &[kind.file(), "--wait", "30s"]);
            leases += 1;
            for _ in 0..=dice.roll(3) {
                assert!(tool.open(&place.path(kind.file()), false).starts_with("ok"), "somebody else had the file");
                let row = 100_000_000 + i64::try_from(tools.len()).expect("a small number");
                tool.insert(T, &[row]);
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
        going.stop.store(true, Ordering::Relaxed);
        (writers.into_iter().map(|writer| writer.join().expect("a writer")).collect::<Vec<_>>(), tools, leases)
    });
    let rows = place.sql(kind.file(), "select id from t order by id");
    let rows: Vec<i64> = rows.lines().map(|row| row.parse().expect("a number")).collect();
    let there: BTreeSet<_> = rows.iter().copied().collect();
    assert_eq!(there.len(), rows.len(), "a row is there twice");
    let done: BTreeSet<_> = told.iter().flat_map(|told| &told.done).chain(&tools).copied().collect();
    let unknown: BTreeSet<_> = told.iter().flat_map(|told| &told.unknown).copied().collect();
    println!("{leases} leases, {} rows, {} unknown", rows.len(), unknown.len());
    let lost: Vec<_> = done.difference(&there).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let strange: Vec<_> = there.iter().filter(|row| !done.contains(row) && !unknown.contains(row)).collect();
    assert!(strange.is_empty(), "nobody was told of these, and they are there: {strange:?}");
    kind.check(&place);
    assert!(going.is_enough(leases), "too little happened: {leases} leases, {} rows", done.len());
}

fn a_lease_gives_the_file_away_and_what_was_before_answers(kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    kind.fill(&place, T, &[&[1]]);
    let session = place.blocking_client(kind.file(), ClientOptions::default()).session().expect("a session");
    if kind.has_transactions() {
        session.execute("create temp table mine as select 7 as i").expect("a table");
    }
    let rows = || one(&session, "select count(*) from t");
    assert_eq!(rows(), ("1".to_owned(), None));
    let mut tool = Foreign::leased_of(kind, &place, &[kind.file()]);
    for log in kind.logs() {
        assert!(!place.path(&format!("{}{log}", kind.file())).exists(), "the file alone is the database");
    }
    assert!(tool.open(&place.path(kind.file()), false).starts_with("ok"), "somebody else had the file");
    tool.insert(T, &[2]);
    let (read, as_of) = rows();
    assert_eq!((read.as_str(), as_of.is_some()), ("1", true));
    let (code, error) = place.fails(&["sql", kind.file(), &kind.delete_all(T), "--wait", "300ms"]);
    assert_eq!((code, error["code"].as_str()), (75, Some("DATABASE_LOCKED")), "{error}");
    tool.close();
    assert!(tool.end().success());
    until("the file answers again", || rows() == ("2".to_owned(), None));
    if kind.has_transactions() {
        assert_eq!(one(&session, "select i from mine").0, "7", "what the session had is there still");
    }
    kind.check(&place);
}
