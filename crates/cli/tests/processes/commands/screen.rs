//! What a person sees where no broker is needed: help, usage errors, reports on a file that nobody has.
#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

fn dbmux(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dbmux"));
    command
        .args(arguments)
        .current_dir(directory)
        .env("DBMUX_RUNTIME_DIR", directory.join("run"))
        .env("COLUMNS", "100");
    for variable in ["DBMUX_WAIT", "DBMUX_PRIORITY", "NO_COLOR"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8], directory: &Path) -> String {
    let canonical = directory.canonicalize().unwrap();
    String::from_utf8_lossy(bytes).replace(canonical.to_str().unwrap(), "[PLACE]")
}

/// Standard output, standard error and exit code, as one text.
fn screen(directory: &Path, arguments: &[&str]) -> String {
    let output = dbmux(directory, arguments);
    let (out, error) = (text(&output.stdout, directory), text(&output.stderr, directory));
    format!("{out}--- stderr\n{error}--- exit {}", output.status.code().unwrap())
}

#[test]
fn help_of_every_command() {
    let place = tempfile::tempdir().unwrap();
    for command in
        ["sql", "who", "wait", "status", "stats", "stop", "lock", "run", "demo", "probe", "completions", "environment"]
    {
        insta::assert_snapshot!(format!("help-{command}"), screen(place.path(), &[command, "--help"]));
    }
}

#[cfg(feature = "duckdb")]
#[test]
fn help() {
    let place = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("help", screen(place.path(), &["--help"]));
    insta::assert_snapshot!("help-serve", screen(place.path(), &["serve", "--help"]));
}

#[test]
fn usage_errors_name_what_is_wrong() {
    let place = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("usage-wait", screen(place.path(), &["sql", "x.duckdb", "select 1", "--wait", "soon"]));
    insta::assert_snapshot!(
        "usage-param",
        screen(place.path(), &["sql", "x.duckdb", "select 1", "--param", "a=1", "--param", "2"])
    );
    insta::assert_snapshot!("usage-file", screen(place.path(), &["sql", "x.duckdb", "-f", "no-such.sql"]));
    insta::assert_snapshot!("no-directory", screen(place.path(), &["who", "no/such/place.duckdb"]));
    insta::assert_snapshot!("no-directory-json", screen(place.path(), &["who", "--json", "no/such/place.duckdb"]));
}

#[test]
fn reports_on_what_nobody_has_start_and_make_nothing() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path();
    std::fs::write(directory.join("here.duckdb"), "").unwrap();
    for (name, arguments) in [
        ("who-missing", &["who", "gone.duckdb"][..]),
        ("who-free", &["who", "here.duckdb"]),
        ("who-free-json", &["who", "here.duckdb", "--json"]),
        ("status-none", &["status", "here.duckdb"]),
        ("status-none-json", &["status", "here.duckdb", "--json"]),
        ("status-all", &["status"]),
        ("status-all-json", &["status", "--json"]),
        ("stats-all", &["stats"]),
        ("stats-all-json", &["stats", "--json"]),
        ("stop-all", &["stop"]),
        ("stop-all-json", &["stop", "--json"]),
        ("stats-none", &["stats", "here.duckdb"]),
        ("stats-none-json", &["stats", "here.duckdb", "--json"]),
        ("stop-none", &["stop", "here.duckdb"]),
        ("stop-none-json", &["stop", "here.duckdb", "--json"]),
        ("sql-no-statement", &["sql", "here.duckdb", " -- nothing\n"]),
    ] {
        insta::assert_snapshot!(name, screen(directory, arguments));
    }
    let left: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["here.duckdb"]);
    assert_eq!(std::fs::read(directory.join("here.duckdb")).unwrap(), b"");
}

#[test]
fn who_names_a_process_that_has_the_file() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("held.duckdb");
    std::fs::write(&path, "x").unwrap();
    // As DuckDB does: a POSIX lock over the whole file.
    let script = "import fcntl, sys, time\nf = open(sys.argv[1], 'r+b')\nfcntl.lockf(f, fcntl.LOCK_EX)\nprint('held', flush=True)\nsys.stdin.read()";
    let mut holder = Command::new("python3");
    holder.args(["-c", script]).arg(&path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut [0; 5]).unwrap();
    let shown = text(&dbmux(place.path(), &["who", "held.duckdb"]).stdout, place.path());
    let report: serde_json::Value =
        serde_json::from_slice(&dbmux(place.path(), &["who", "held.duckdb", "--json"]).stdout).unwrap();
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert!(shown.starts_with("held.duckdb is held by\n"), "{shown}");
    assert!(shown.contains("python3 -c import fcntl"), "{shown}");
    assert!(shown.contains(&format!("(pid {},", holder.id())), "{shown}");
    assert!(!shown.contains("since"), "the kernel does not tell since when: {shown}");
    assert!(shown.contains("database: a program with DuckDB, without dbmux; may write"), "{shown}");
    assert_eq!(report["holders"][0]["pid"], holder.id());
    assert_eq!(report["holders"][0]["writes"], true);
    assert_eq!(report["holders"][0]["held_s"], serde_json::Value::Null);
    assert_eq!(report["holders"][0]["engine"], "duckdb");
    assert_eq!(report["broker"], serde_json::Value::Null);
}

#[test]
fn completions_for_every_shell() {
    let place = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = dbmux(place.path(), &["completions", shell]);
        let script = text(&output.stdout, place.path());
        assert!(output.status.success() && script.contains("read-only"), "{shell}");
        assert!(!script.contains("dbmux broker --"), "{shell}");
    }
}

#[test]
fn colours_are_for_terminals_or_on_request() {
    let place = tempfile::tempdir().unwrap();
    let escape = |arguments: &[&str]| dbmux(place.path(), arguments).stderr.contains(&0x1b);
    assert!(!escape(&["who", "no/such/place.duckdb"]));
    assert!(escape(&["who", "no/such/place.duckdb", "--color", "always"]));
    assert!(!escape(&["who", "no/such/place.duckdb", "--color", "never"]));
}
