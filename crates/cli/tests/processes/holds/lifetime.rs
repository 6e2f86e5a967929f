//! How a broker ends: by itself, when it is told to, and by a signal; what it leaves behind.
#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use dbmux_testkit::{Place, until};
use rustix::process::{Signal, kill_process};

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
