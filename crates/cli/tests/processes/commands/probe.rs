//! The probe: what it shows of each engine is true, and it leaves nothing behind, however it ends.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::{
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use dbmux_testkit::{Place, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The probe's own files are made in this place too.
fn probe(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.dbmux([&["probe"], arguments].concat());
    std::fs::create_dir_all(place.path("tmp")).expect("a directory");
    command.env("TMPDIR", place.path("tmp")).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn report(output: &Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.stdout.is_empty(), "it has nothing to report: {errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn files(place: &Place) -> Vec<PathBuf> {
    std::fs::read_dir(place.path("tmp")).expect("it is there").map(|entry| entry.expect("an entry").path()).collect()
}

/// Processes that have this place in their command line: number and command.
fn processes(place: &Place) -> Vec<(i32, String)> {
    let here = place.path("").display().to_string();
    let all = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let numbered = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let commands = numbered.filter_map(|pid| Some((pid, std::fs::read(format!("/proc/{pid}/cmdline")).ok()?)));
    commands
        .map(|(pid, bytes)| (pid, String::from_utf8_lossy(&bytes).replace('\0', " ")))
        .filter(|(_, text)| text.contains(&here))
        .collect()
}

fn workers(place: &Place, role: &str, mode: &str) -> Vec<i32> {
    let (role, mode) = (format!("\"role\":\"{role}\""), format!("\"mode\":\"{mode}\""));
    let all = processes(place).into_iter();
    all.filter(|(_, command)| command.contains(&role) && command.contains(&mode)).map(|(pid, _)| pid).collect()
}

fn nothing_is_left(place: &Place) {
    until("its processes have ended", || processes(place).is_empty());
    assert_eq!(files(place), Vec::<PathBuf>::new());
}

fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a process"), signal).expect("it runs");
}

/// Everybody succeeded, everybody saw what was new, and all that was acknowledged is there.
fn is_perfect(mode: &Value) {
    for zero in ["reads_err", "writes_err", "crashed_workers", "stale_reads"] {
        assert_eq!(mode[zero], 0, "{zero}: {mode:#}");
    }
    for some in ["reads_ok", "writes_ok", "fresh_read_iterations", "fresh_read_results", "new_rows_inserted"] {
        assert!(mode[some].as_u64() > Some(0), "{some}: {mode:#}");
    }
    assert_eq!((&mode["errors"], &mode["problems"]), (&json!([]), &json!([])), "{mode:#}");
    assert_eq!(mode["rows_expected"], mode["rows_found"], "{mode:#}");
    for kind in ["read", "write"] {
        let [half, most] = ["p50_us", "p99_us"].map(|which| mode[format!("{kind}_{which}")].as_u64());
        assert!(half > Some(0) && half <= most, "{mode:#}");
    }
}

/// The goal is 2 percent of the time; seen here is a tenth of it.
fn is_hardly_there(mode: &Value) {
    assert!(mode["overhead_percent"].as_f64().is_some_and(|percent| (0.0..2.0).contains(&percent)), "{mode:#}");
}

#[test]
fn duckdb_lets_nobody_in_beside_its_writer_and_dbmux_does() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let output = probe(&place, &["duckdb", "--duration", "1s", "--readers", "3", "--json", "--check"])
        .output()
        .expect("it runs");
    let report = report(&output);
    let (direct, dbmux) = (&report["modes"][0], &report["modes"][1]);
    assert_eq!((&direct["mode"], &dbmux["mode"]), (&json!("direct"), &json!("dbmux")));
    assert_eq!((&direct["reads_ok"], &direct["crashed_workers"]), (&json!(0), &json!(3)), "{direct:#}");
    let errors = direct["errors"].as_array().expect("errors");
    assert_eq!(errors.len(), 1, "each once: {direct:#}");
    assert!(
        errors[0]["error"].as_str().is_some_and(|error| error.contains("Could not set lock on file")),
        "{direct:#}"
    );
    assert_eq!(errors[0]["count"], direct["reads_err"]);
    assert!(direct["reads_err"].as_u64() >= Some(3) && direct["writes_ok"].as_u64() > Some(0), "{direct:#}");
    assert_eq!((&direct["writes_err"], &direct["problems"]), (&json!(0), &json!([])), "{direct:#}");
    assert_eq!(direct["rows_expected"], direct["rows_found"], "{direct:#}");
    is_perfect(dbmux);
    is_hardly_there(dbmux);
    assert_eq!((&report["engine"], &report["departures"]), (&json!("duckdb"), &json!([])));
    assert!(output.status.success());
    nothing_is_left(&place);
}

#[test]
fn sqlite_lets_all_in_and_dbmux_puts_its_writers_in_line() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let arguments = ["sqlite", "--duration", "1s", "--readers", "2", "--writers", "3", "--json", "--check"];
    let output = probe(&place, &arguments).output().expect("it runs");
    let report = report(&output);
    let (direct, dbmux) = (&report["modes"][0], &report["modes"][1]);
    // Three writers without a line: one may wait for too long.
    for error in direct["errors"].as_array().expect("errors") {
        assert!(error["error"].as_str().is_some_and(|error| error.contains("database is locked")), "{direct:#}");
    }
    assert_eq!((&direct["reads_err"], &direct["stale_reads"], &direct["problems"]), (&json!(0), &json!(0), &json!([])));
    is_perfect(dbmux);
    is_hardly_there(direct);
    is_hardly_there(dbmux);
    assert!(output.status.success(), "{report:#}");
    nothing_is_left(&place);
}

#[test]
fn readers_alone_share_a_file_of_duckdb() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let arguments = ["duckdb", "--writers", "0", "--rows", "50", "--mode", "direct", "--duration", "300ms", "--check"];
    let output = probe(&place, &arguments).output().expect("it runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("reads that succeeded"), "{shown}");
    assert!(!shown.contains("dbmux ") && !shown.contains("Could not set lock"), "{shown}");
}

#[test]
fn of_several_writers_duckdb_lets_one_in() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let arguments =
        ["duckdb", "--writers", "3", "--readers", "0", "--rows", "50", "--mode", "direct", "--json", "--check"];
    let output = probe(&place, &arguments).args(["--duration", "300ms"]).output().expect("it runs");
    let report = report(&output);
    let direct = &report["modes"][0];
    assert_eq!(direct["crashed_workers"], 2, "{direct:#}");
    assert!(direct["writes_ok"].as_u64() > Some(0) && output.status.success(), "{report:#}");
}

#[test]
fn somebodys_own_database_is_copied_and_left_alone() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    for name in ["mine.sqlite", "mine.duckdb"] {
        let mine = place.path(name).display().to_string();
        place.sql(&mine, "create table chunks as select 7 as mine");
        assert!(place.dbmux(["stop", &mine]).status().expect("it runs").success());
        let before = std::fs::read(&mine).expect("a file");
        let arguments = [mine.as_str(), "--duration", "300ms", "--rows", "100", "--readers", "1", "--json", "--check"];
        let output = probe(&place, &arguments).output().expect("it runs");
        let report = report(&output);
        assert!(output.status.success(), "{report:#}");
        is_perfect(&report["modes"][1]);
        assert_eq!(report["modes"][0]["rows_found"], report["modes"][0]["rows_expected"], "{report:#}");
        let notes = String::from_utf8_lossy(&output.stderr);
        assert!(notes.contains("is left alone: a copy of it is probed"), "{notes}");
        assert!(place.dbmux(["stop", &mine]).status().expect("it runs").success());
        assert!(std::fs::read(&mine).expect("a file") == before, "{name} has changed");
        assert_eq!(files(&place), Vec::<PathBuf>::new());
        // A table of the probe's own name is somebody's too.
        place.sql(&mine, "create table dbmux_probe_chunks (id integer)");
        let output = probe(&place, &arguments).output().expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains("dbmux_probe_chunks"), "{errors}");
    }
}

#[test]
fn a_path_with_nothing_there_is_an_engines_name_or_nonsense() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let output = probe(&place, &["sqlit", "--json"]).output().expect("it runs");
    let error: Value = serde_json::from_slice(&output.stderr).expect("JSON");
    assert_eq!((output.status.code(), &error["code"]), (Some(2), &json!("USAGE")));
    assert!(error["message"].as_str().is_some_and(|text| text.contains("sqlit is no engine")), "{error}");
    let new = place.path("new.sqlite").display().to_string();
    let arguments = [new.as_str(), "--mode", "direct", "--duration", "200ms", "--rows", "20", "--json"];
    let output = probe(&place, &arguments).output().expect("it runs");
    assert_eq!(report(&output)["engine"], "sqlite");
    assert!(!place.path("new.sqlite").exists());
}

/// Starts a probe that goes on until it is ended, and waits until all of its workers work.
fn begun(place: &Place, engine: &str, mode: &str) -> Child {
    let arguments = [engine, "--mode", mode, "--duration", "60s", "--readers", "2", "--writers", "2", "--rows", "100"];
    let child = probe(place, &arguments).spawn().expect("it runs");
    let both = || workers(place, "Reader", mode).len() == 2 && workers(place, "Writer", mode).len() == 2;
    until("its processes run", both);
    child
}

#[test]
fn a_signal_ends_it_with_its_processes_and_files() {
    for (engine, mode, signal) in
        [("sqlite", "direct", Signal::INT), ("duckdb", "dbmux", Signal::TERM), ("duckdb", "direct", Signal::HUP)]
    {
        let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
        let child = begun(&place, engine, mode);
        kill_process(Pid::from_child(&child), signal).expect("it runs");
        let output = child.wait_with_output().expect("its end");
        assert_eq!(output.status.code(), Some(130), "{engine} {mode}");
        nothing_is_left(&place);
    }
}

#[test]
fn killed_it_leaves_no_process_and_no_file_either() {
    for mode in ["direct", "dbmux"] {
        let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
        let mut child = begun(&place, "sqlite", mode);
        child.kill().expect("it runs");
        child.wait().expect("its end");
        until("its processes have ended", || processes(&place).is_empty());
        until("its files are gone", || files(&place).is_empty());
    }
}

#[test]
fn a_process_that_crashes_is_counted_with_how_it_ended() {
    for role in ["Reader", "Writer"] {
        let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
        let arguments = ["sqlite", "--mode", "dbmux", "--duration", "3s", "--rows", "100", "--json", "--check"];
        let child = probe(&place, &arguments).args(["--writers", "2"]).spawn().expect("it runs");
        until("its processes run", || workers(&place, "Reader", "dbmux").len() == 4);
        kill(workers(&place, role, "dbmux")[0], Signal::KILL);
        let output = child.wait_with_output().expect("its end");
        let report = report(&output);
        let dbmux = &report["modes"][0];
        assert_eq!((output.status.code(), &dbmux["crashed_workers"]), (Some(1), &json!(1)), "{report:#}");
        assert!(dbmux["errors"][0]["error"].as_str().is_some_and(|error| error.starts_with("signal: …")), "{report:#}");
        let whose = if role == "Reader" { "1 readers crashed" } else { "1 writers crashed" };
        assert!(report["departures"].to_string().contains(whose), "{report:#}");
        // What the others were told is true all the same.
        assert_eq!((&dbmux["problems"], &dbmux["stale_reads"]), (&json!([]), &json!(0)), "{report:#}");
        nothing_is_left(&place);
    }
}

#[cfg(feature = "lance")]
#[test]
fn lancedb_lets_all_in_and_reads_are_fresh() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let arguments = ["lance", "--duration", "2s", "--rows", "500", "--readers", "2", "--json", "--check"];
    let output = probe(&place, &arguments).output().expect("it runs");
    let report = report(&output);
    is_perfect(&report["modes"][0]);
    is_perfect(&report["modes"][1]);
    assert!(output.status.success(), "{report:#}");
    nothing_is_left(&place);
}
