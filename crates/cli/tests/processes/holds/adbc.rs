//! A standard client: the ADBC driver for Flight SQL, in Python.

use std::process::Command;

use dbmux_testkit::{Place, python};

#[test]
fn the_adbc_driver_does_all_that_it_can() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    place.sql("sales.duckdb", "select 42");
    let status = place.run(["status", "sales.duckdb", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    let socket = status["socket"].as_str().expect("the socket's path");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/processes/holds/adbc.py");
    let output = Command::new(python()).args([script, socket]).output().expect("Python starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "done", "{errors}");
}
