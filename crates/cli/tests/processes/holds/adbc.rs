//! Standard clients in Python: the ADBC driver for Flight SQL, and plain Arrow Flight.

use std::process::Command;

use dbmux_testkit::{Place, python};

/// Runs a script against a database that is served.
fn says_done(database: &str, script: &str) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    place.sql(database, "select 42");
    let status = place.run(["status", database, "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    let socket = status["socket"].as_str().expect("the socket's path");
    let script = format!("{}/tests/processes/holds/{script}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python()).args([&script, socket]).output().expect("Python starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "done", "{errors}");
}

#[test]
fn the_adbc_driver_does_all_that_it_can() {
    says_done("sales.duckdb", "adbc.py");
}

#[test]
fn the_adbc_driver_does_the_same_with_sqlite() {
    says_done("sales.sqlite", "adbc_sqlite.py");
}

#[test]
fn plain_arrow_flight_asks_and_writes_in_duckdb() {
    says_done("sales.duckdb", "flight.py");
}

#[test]
fn plain_arrow_flight_asks_and_writes_in_sqlite() {
    says_done("sales.sqlite", "flight.py");
}
