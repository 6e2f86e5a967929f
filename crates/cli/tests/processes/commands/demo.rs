//! The demo: what it shows is true, and it leaves nothing behind, however it ends.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use dbmux_testkit::{Place, Terminal, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The demo's own files are made in this place too.
fn demo(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.dbmux([&["demo"], arguments].concat());
    std::fs::create_dir_all(place.path("tmp")).expect("a directory");
    command.env("TMPDIR", place.path("tmp")).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn files(place: &Place) -> Vec<PathBuf> {
    std::fs::read_dir(place.path("tmp")).expect("it is there").map(|entry| entry.expect("an entry").path()).collect()
}

/// Processes that have this place in their command line.
fn processes(place: &Place) -> Vec<String> {
    let here = place.path("").display().to_string();
    let all = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let commands = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    commands
        .map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "))
        .filter(|text| text.contains(&here))
        .collect()
}

fn nothing_is_left(place: &Place) {
    until("its processes have ended", || processes(place).is_empty());
    assert_eq!(files(place), Vec::<PathBuf>::new());
}

#[test]
fn plain_duckdb_fails_where_dbmux_does_not() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let output = demo(&place, &["--seconds", "2", "--json", "--keep"]).output().expect("the demo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let figures: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let (plain, dbmux) = (&figures["plain"], &figures["dbmux"]);
    assert!(plain["failures"].as_u64() > Some(0), "{figures}");
    assert!(plain["errors"].to_string().contains("Could not set lock on file"), "{figures}");
    assert_eq!(dbmux["failures"], 0, "{figures}");
    assert_eq!(dbmux["rows_expected"], dbmux["rows_found"], "{figures}");
    assert!(
        dbmux["rows_found"].as_u64() > Some(0) && dbmux["median_us"].as_u64() <= dbmux["p99_us"].as_u64(),
        "{figures}"
    );
    // Kept: the file has what the figures say.
    let kept = PathBuf::from(figures["kept"].as_str().expect("where"));
    assert_eq!(files(&place), std::slice::from_ref(&kept));
    let database = kept.join("flights.duckdb").display().to_string();
    assert_eq!(place.sql(&database, "select count(*) from sightings"), dbmux["rows_found"].to_string());
    assert_eq!(place.sql(&database, "select count(*) from flights"), "336776");
    // For these lines standard error is a program's too.
    assert!(
        errors.lines().all(|line| serde_json::from_str::<Value>(line).is_ok_and(|note| note["note"].is_string())),
        "{errors}"
    );
}

#[test]
fn it_leaves_nothing_behind() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let output = demo(&place, &["--seconds", "1"]).output().expect("the demo runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("plain DuckDB") && shown.contains("rows found"), "{shown}");
    assert!(shown.contains("Could not set lock on file"), "{shown}");
    nothing_is_left(&place);
}

#[test]
fn ctrl_c_ends_it_in_either_half_and_leaves_nothing_behind() {
    for half in ["plain DuckDB", "dbmux"] {
        let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
        let seconds = if half == "dbmux" { "2" } else { "60" };
        let mut terminal = Terminal::start(demo(&place, &["--seconds", seconds]));
        terminal.wait_for("its progress", |screen| screen.contains(&format!(" {half} ")) && screen.contains('█'));
        terminal.type_("\x03");
        let (status, shown) = terminal.end();
        assert_eq!(status.code(), Some(130), "{shown}");
        nothing_is_left(&place);
    }
}

#[test]
fn a_signal_from_outside_ends_it_as_well() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let child = demo(&place, &["--seconds", "60"]).spawn().expect("the demo runs");
    until("the workers run", || processes(&place).iter().filter(|text| text.contains("demo-worker")).count() == 8);
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    let output = child.wait_with_output().expect("its end");
    assert!(!output.status.success());
    nothing_is_left(&place);
}

#[test]
fn eight_dbt_runs_succeed_through_dbmux_however_they_come() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let real = dbmux_testkit::dbt_program().parent().expect("a directory").display().to_string();
    let path = format!("{real}:{}", std::env::var("PATH").unwrap_or_default());
    let mut command = place.dbmux(["demo", "dbt", "--json"]);
    let output = command.env("PATH", path).env_remove("VIRTUAL_ENV").output().expect("the demo runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let ways = report["ways"].as_array().expect("ways");
    for way in &ways[1..] {
        assert_eq!((&way["succeeded"], &way["tables"]), (&8.into(), &8.into()), "{report:#}");
    }
    assert!(output.status.success() && ways.len() == 3, "{report:#}");
}
