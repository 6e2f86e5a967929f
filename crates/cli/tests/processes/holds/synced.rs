//! What is acknowledged was synced before. On each engine, with writers that are committed together and alone.
//!
//! The broker's system calls are watched: between a writer's question and its answer one of its syncs must have begun and
//! ended. (Of which file, and whether it began after the commit, is not looked at.)

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use dbmux_client::ClientOptions;
use dbmux_testkit::{Kind, Place, T};
use rustix::process::{Pid, Signal, kill_process};

on_each_engine!(what_is_acknowledged_was_synced_before);

const WRITERS: i64 = 6;
const WRITES: i64 = 12;

/// From when to when, in seconds since 1970.
type Span = (f64, f64);

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later").as_secs_f64()
}

/// The syncs that succeeded, as strace tells of them with `-f -ttt -T`: in one line, or in two where others come between.
fn syncs(trace: &str) -> Vec<Span> {
    let (mut all, mut begun) = (Vec::new(), HashMap::new());
    for line in trace.lines() {
        let mut words = line.split_whitespace();
        let (Some(pid), Some(at)) = (words.next(), words.next().and_then(|at| at.parse::<f64>().ok())) else {
            continue;
        };
        let is_sync = line.contains(" fsync(") || line.contains(" fdatasync(");
        if is_sync && line.ends_with("<unfinished ...>") {
            begun.insert(pid, at);
            continue;
        }
        let resumed = line.contains("sync resumed>").then(|| begun.remove(pid)).flatten();
        let took = line.rsplit_once(" = 0 <").and_then(|(_, took)| took.trim_end_matches('>').parse::<f64>().ok());
        let (Some(from), Some(took)) = (if is_sync { Some(at) } else { resumed }, took) else { continue };
        all.push((from, from + took));
    }
    all
}

/// A writer's questions with their answers, one after the other.
fn write(kind: Kind, place: &Place, writer: i64) -> Vec<Span> {
    let options = ClientOptions { wait: Duration::from_secs(60), ..ClientOptions::default() };
    let session = place.blocking_client(kind.file(), options).session().expect("a session");
    let insert = |turn: i64| {
        let began = now();
        session.execute(kind.insert(T, &[&[turn * WRITERS + writer]])).expect("it is done");
        (began, now())
    };
    (0..WRITES).map(insert).collect()
}

fn what_is_acknowledged_was_synced_before(kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    kind.make(&place, &kind.create(T));
    let [broker] = place.brokers()[..] else { panic!("one broker") };
    let trace = place.path("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-ttt", "-T", "-e", "trace=fsync,fdatasync", "-o"]).arg(&trace).arg("-p");
    strace.arg(broker.as_raw_nonzero().to_string()).stderr(Stdio::piped());
    let mut strace = strace.spawn().expect("strace is installed");
    let mut says = BufReader::new(strace.stderr.take().expect("what it says")).lines();
    let first = says.next().expect("a line").expect("a text");
    assert!(first.contains("attached"), "{first}");
    // It is read on: strace must not wait for us.
    let says = std::thread::spawn(move || says.map_while(Result::ok).collect::<Vec<_>>());

    // One is alone, then all at once.
    let mut answered = write(kind, &place, 0);
    let place_of_all = &place;
    answered.extend(std::thread::scope(|scope| {
        let writers: Vec<_> =
            (1..WRITERS).map(|writer| scope.spawn(move || write(kind, place_of_all, writer))).collect();
        writers.into_iter().flat_map(|writer| writer.join().expect("no panic")).collect::<Vec<_>>()
    }));
    kill_process(Pid::from_child(&strace), Signal::INT).expect("a signal");
    strace.wait().expect("its end");
    says.join().expect("no panic");

    let syncs = syncs(&fs::read_to_string(&trace).expect("a trace"));
    let covered = |(from, to): &Span| syncs.iter().any(|(begun, ended)| from <= begun && ended <= to);
    let bare = answered.iter().filter(|span| !covered(span)).count();
    println!("{} answers, {} syncs", answered.len(), syncs.len());
    assert_eq!((answered.len(), bare), (usize::try_from(WRITERS * WRITES).expect("few"), 0), "answers without a sync");
}
