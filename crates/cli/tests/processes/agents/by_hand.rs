//! `dbmux memory`: the same memories, by hand.

use std::{io::Write, process::Stdio};

use dbmux_testkit::Place;
use serde_json::{Value, json};

/// Runs a command that must succeed; its answer as JSON.
fn says(place: &Place, arguments: &[&str]) -> Value {
    let output = place.run(["memory", "--memory", "memory.db", "--json"].iter().chain(arguments));
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn memories_are_kept_by_hand() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let stored =
        says(&place, &["add", "the staging host is called heron", "--tags", "hosts,staging", "--type", "fact"]);
    let hash = stored[0]["content_hash"].as_str().expect("a hash").to_owned();
    says(&place, &["add", "tea is at four", "--metadata", r#"{"who": "all"}"#]);
    let found = says(&place, &["search", "staging", "host", "--mode", "exact"]);
    assert_eq!(
        (found.as_array().map(Vec::len), &found[0]["content"]),
        (Some(1), &json!("the staging host is called heron"))
    );
    let listed = says(&place, &["list", "--tags", "hosts", "--time", "today"]);
    assert_eq!(
        (listed[0]["content_hash"].as_str(), &listed[0]["tags"]),
        (Some(hash.as_str()), &json!(["hosts", "staging"]))
    );
    let changed = says(&place, &["update", &hash, "--tags", "old"]);
    assert_eq!(changed[0]["tags"], json!(["old"]), "{changed}");
    assert_eq!(says(&place, &["stats"])["memories"], 2);
    let exported = place.run(["memory", "--memory", "memory.db", "export"]).stdout;
    assert_eq!(exported.iter().filter(|byte| **byte == b'\n').count(), 2);
    let mut import = place.dbmux(["memory", "--memory", "other.db", "import", "--json"]);
    let mut import = import.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    import.stdin.take().expect("its input").write_all(&exported).expect("it reads");
    let imported: Value = serde_json::from_slice(&import.wait_with_output().expect("it ends").stdout).expect("JSON");
    assert_eq!((&imported["read"], &imported["new"]), (&json!(2), &json!(2)), "{imported}");
    assert_eq!(says(&place, &["delete", "--tags", "old"])["dry_run"], true);
    assert_eq!(says(&place, &["stats"])["memories"], 2);
    assert_eq!(says(&place, &["delete", "--tags", "old", "--yes"])["content_hashes"], json!([hash]));
    assert_eq!(says(&place, &["stats"])["memories"], 1);
}

#[test]
fn a_store_is_tried_by_several_processes_and_left_as_it_was() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    says(&place, &["add", "tea is at four"]);
    let report = says(&place, &["verify", "--processes", "3"]);
    assert_eq!((&report["ok"], &report["errors"]), (&json!(true), &json!([])), "{report}");
    assert_eq!([&report["stored"], &report["found"], &report["deleted"], &report["left_behind"]], [75, 75, 75, 0]);
    assert_eq!(says(&place, &["stats"])["memories"], 1);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    for (arguments, exit) in [
        (&["delete", "--yes"][..], 2),
        (&["list", "--time", "when pigs fly"], 2),
        (&["add", "a", "--metadata", "[1]"], 2),
        (&["reembed"], 2),
        (&["import", "missing.jsonl"], 2),
        (&["update", "beef"], 2),
    ] {
        let (found, error) = place.fails(&[&["memory", "--memory", "memory.db"], arguments].concat());
        assert_eq!(found, exit, "{arguments:?}: {error}");
    }
}
