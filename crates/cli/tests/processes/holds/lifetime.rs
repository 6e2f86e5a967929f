//! How a broker ends: by itself, when it is told to, and by a signal; what it leaves behind.
#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::time::{Duration, Instant};

use dbmux_testkit::{Place, Shell, until};
use rustix::process::{Signal, kill_process};

/// What a broker may take to end, beyond its drain, whatever its statements do.
const BOUND: Duration = Duration::from_secs(25);

/// What is in the runtime directory, logs aside.
fn sockets(place: &Place) -> Vec<String> {
    let entries = std::fs::read_dir(place.path("run")).unwrap().filter_map(Result::ok);
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".sock")).collect()
}

fn gone(place: &Place) {
    until("the broker has ended", || place.brokers().is_empty());
    until("its socket is gone", || sockets(place).is_empty());
    assert!(!place.path("a.duckdb.wal").exists(), "everything is in the file");
    // The next one finds all of it, and starts anew.
    assert_eq!(place.sql("a.duckdb", "select count(*) from t"), "1");
}

#[test]
fn a_broker_ends_when_it_is_told_to_and_takes_its_socket_with_it() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    place.sql("a.duckdb", "create table t as select 1 as i");
    assert_eq!(sockets(&place).len(), 1);
    assert!(place.run(["stop", "a.duckdb"]).status.success());
    gone(&place);
    for broker in place.brokers() {
        kill_process(broker, Signal::TERM).unwrap();
    }
    gone(&place);
}

#[test]
fn a_broker_that_nobody_needs_ends_by_itself() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux")).with("DBMUX_IDLE_EXIT", "50ms");
    place.sql("a.duckdb", "create table t as select 1 as i");
    gone(&place);
}

/// A statement that waits in a system call hears no interrupt: here it reads from a pipe into which nobody writes.
#[test]
fn a_statement_that_cannot_be_interrupted_does_not_keep_a_draining_broker() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    place.sql("a.duckdb", "create table t as select 1 as i");
    let pipe = place.path("pipe.csv");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    let mut deaf = Shell::start(&place, "a.duckdb", &[]);
    deaf.tell("select * from read_csv('pipe.csv', columns = {'a': 'int'}, auto_detect = false)");
    until("it runs", || place.status("a.duckdb")["running"].as_array().is_some_and(|running| running.len() == 1));
    let broker = dbmux_os::process::id(place.brokers()[0].as_raw_nonzero().get().unsigned_abs()).unwrap();
    let began = Instant::now();
    place.run(["stop", "a.duckdb", "--wait", "100ms"]);
    until("the broker's process has ended", || !dbmux_os::process::is_alive(broker));
    let took = began.elapsed();
    println!("it took {took:?}");
    assert!(took < BOUND, "{took:?}");
    // Nobody has the file any more, and everything that was acknowledged is in it.
    assert_eq!(place.sql("a.duckdb", "select count(*) from t"), "1");
}
