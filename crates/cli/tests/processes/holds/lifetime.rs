//! How a broker ends: by itself, when it is told to, and by a signal; what it leaves behind. On each engine.

use std::time::{Duration, Instant};

use dbmux_testkit::{Kind, Place, Shell, T, until};
use rustix::process::{Signal, kill_process};

on_each_engine!(
    a_broker_ends_when_it_is_told_to_and_takes_its_socket_with_it,
    a_broker_that_nobody_needs_ends_by_itself,
);
on_duckdb!(a_statement_that_cannot_be_interrupted_does_not_keep_a_draining_broker);

/// What a broker may take to end, beyond its drain, whatever its statements do.
const BOUND: Duration = Duration::from_secs(25);

/// What is in the runtime directory, logs aside.
fn sockets(place: &Place) -> Vec<String> {
    let entries = std::fs::read_dir(place.path("run")).unwrap().filter_map(Result::ok);
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".sock")).collect()
}

fn gone(place: &Place, kind: Kind) {
    until("the broker has ended", || place.brokers().is_empty());
    until("its socket is gone", || sockets(place).is_empty());
    for log in kind.logs() {
        assert!(!place.path(&format!("{}{log}", kind.file())).exists(), "everything is in the file");
    }
    // The next one finds all of it, and starts anew.
    assert_eq!(place.sql(kind.file(), "select count(*) from t"), "1");
}

fn a_broker_ends_when_it_is_told_to_and_takes_its_socket_with_it(kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    kind.fill(&place, T, &[&[1]]);
    assert_eq!(sockets(&place).len(), 1);
    assert!(place.run(["stop", kind.file()]).status.success());
    gone(&place, kind);
    for broker in place.brokers() {
        kill_process(broker, Signal::TERM).unwrap();
    }
    gone(&place, kind);
}

fn a_broker_that_nobody_needs_ends_by_itself(kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux")).with("DBMUX_IDLE_EXIT", "50ms");
    kind.fill(&place, T, &[&[1]]);
    gone(&place, kind);
}

/// Nothing that other engines read may be a pipe. A statement that waits in a system call hears no interrupt: here it reads from a pipe into which nobody writes.
fn a_statement_that_cannot_be_interrupted_does_not_keep_a_draining_broker(kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    kind.fill(&place, T, &[&[1]]);
    let pipe = place.path("pipe.csv");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    let mut deaf = Shell::start(&place, kind.file(), &[]);
    deaf.tell("select * from read_csv('pipe.csv', columns = {'a': 'int'}, auto_detect = false)");
    until("it runs", || place.status(kind.file())["running"].as_array().is_some_and(|running| running.len() == 1));
    let broker = dbmux_os::process::id(place.brokers()[0].as_raw_nonzero().get().unsigned_abs()).unwrap();
    let began = Instant::now();
    place.run(["stop", kind.file(), "--wait", "100ms"]);
    until("the broker's process has ended", || !dbmux_os::process::is_alive(broker));
    let took = began.elapsed();
    println!("it took {took:?}");
    assert!(took < BOUND, "{took:?}");
    // Nobody has the file any more, and everything that was acknowledged is in it.
    assert_eq!(place.sql(kind.file(), "select count(*) from t"), "1");
}
