//! `dbmux who --dbt` and `dbmux wait --dbt`, with real dbt. Needs no engine.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use dbmux_testkit::{DbtProject, until};
use serde_json::Value;

/// A project whose profile can be read without dbt.
fn project() -> DbtProject {
    let project = DbtProject::new();
    let path = project.database().display().to_string();
    project.write(
        "profiles.yml",
        &format!("company:\n  target: dev\n  outputs:\n    dev: {{type: duckdb, path: {path}}}\n"),
    );
    project
}

fn dbmux(project: &DbtProject, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dbmux"));
    command.args(words).current_dir(project.root()).envs(project.environment()).stdin(Stdio::null());
    for name in ["DBMUX_WAIT", "DBT_PROJECT_DIR", "DBT_PROFILES_DIR", "DBT_PROFILE", "DBT_TARGET"] {
        command.env_remove(name);
    }
    command.env("DBMUX_DBT", dbmux_testkit::dbt_program());
    command.env("DBMUX_RUNTIME_DIR", project.place().join("run")).output().expect("dbmux runs")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// A dbt that runs until this is dropped: its model takes longer than any test.
struct Dbt(Child);

impl Dbt {
    fn start(project: &DbtProject) -> Self {
        let long = "{{ config(materialized='table') }}\nselect count(*) as n from range(1000000000000) a where hash(a.range) = 1\n";
        project.write("models/long.sql", long);
        let mut command = project.dbt(["run", "--select", "long"]);
        Self(command.stdout(Stdio::null()).spawn().expect("dbt starts"))
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Dbt {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn nothing_runs_and_the_answer_comes_at_once() {
    let project = project();
    let began = Instant::now();
    let root = project.root().canonicalize().expect("it is there");
    let shown = dbmux(&project, &["who", "--dbt"]);
    assert_eq!((shown.status.code(), out(&shown)), (Some(0), format!("no dbt runs in {}\n", root.display())));
    assert_eq!(
        dbmux(&project, &["who", "--dbt", "models", "--check"]).status.code(),
        Some(0),
        "a folder of it will do"
    );
    let told = report(&dbmux(&project, &["who", "--dbt", "--json", "--explain"]));
    assert_eq!((&told["running"], &told["project"]), (&Value::from(false), &Value::from(root.display().to_string())));
    let waited = dbmux(&project, &["wait", "--dbt"]);
    assert_eq!((waited.status.code(), error(&waited)), (Some(0), format!("no dbt runs in {}\n", root.display())));
    assert!(began.elapsed() < Duration::from_secs(4), "each in under a second: {:?}", began.elapsed());
    assert!(!project.place().join("run").exists(), "nothing was started");
}

#[test]
fn a_dbt_that_runs_is_shown_and_waited_for() {
    let project = project();
    let mut dbt = Dbt::start(&project);
    let pid = dbt.0.id();
    until("it has the database", || {
        let told = report(&dbmux(&project, &["who", "--dbt", "--json"]));
        told["finds"][0]["pid"] == pid && told["finds"][0]["evidence"][0]["kind"] == "lock"
    });
    let shown = dbmux(&project, &["who", "--dbt", "--check", "--explain"]);
    let text = out(&shown);
    assert_eq!(shown.status.code(), Some(75));
    for words in [
        "dbt runs in ",
        &format!("(pid {pid}, "),
        "running: it has the database",
        "- it has the lock on ",
        "- it writes ",
        "- its arguments: dbt run, in ",
        "dbmux wait --dbt waits for its end",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }

    let began = Instant::now();
    let waited = dbmux(&project, &["wait", "--dbt", "--wait", "2s"]);
    let (took, text) = (began.elapsed(), error(&waited));
    assert_eq!(waited.status.code(), Some(75));
    assert!((Duration::from_secs(2)..Duration::from_secs(3)).contains(&took), "{took:?}");
    for words in [
        "dbt process detected, waiting for completion… ",
        "error: dbt is already running in this project. Please wait for it to complete.",
        &format!("(pid {pid}, "),
        "wait longer with --wait 5m",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // On a busy machine it is a part of a second later, and says so.
    let told = text.split_once("gave up after ").and_then(|(_, rest)| rest.split_once(" s"));
    let told: f64 = told.and_then(|(seconds, _)| seconds.parse().ok()).unwrap_or_else(|| panic!("no time: {text}"));
    assert!((2.0..3.0).contains(&told), "{text}");
    let refused = error(&dbmux(&project, &["wait", "--dbt", "--wait", "0", "--json"]));
    let last: Value = refused.lines().last().and_then(|line| serde_json::from_str(line).ok()).expect("an error object");
    assert_eq!((&last["code"], &last["holding_pid"]), (&Value::from("DBT_RUNNING"), &Value::from(pid)));

    std::thread::scope(|scope| {
        let waits = scope.spawn(|| (dbmux(&project, &["wait", "--dbt", "--wait", "50s"]), Instant::now()));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!waits.is_finished(), "it still runs");
        dbt.kill();
        let killed = Instant::now();
        let (waited, over) = waits.join().expect("no panic");
        assert_eq!(waited.status.code(), Some(0));
        assert!(error(&waited).contains("no dbt runs any more in "), "{}", error(&waited));
        assert!(over.saturating_duration_since(killed) < Duration::from_secs(1), "{:?}", over - killed);
    });
}

/// Who has the database and is no dbt, until this is dropped.
fn holder(database: &Path) -> Dbt {
    let code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); sys.stdin.read()";
    let mut command = Command::new(dbmux_testkit::dbt_python());
    let holder = Dbt(command.args(["-c", code]).arg(database).stdin(Stdio::piped()).spawn().expect("Python starts"));
    until("it has the database", || !dbmux_os::holders::holders_of(database).unwrap_or_default().is_empty());
    holder
}

#[test]
fn where_jinja_is_in_the_way_dbt_is_asked_for_the_databases() {
    // The test project's own profile has the path from the environment.
    let project = DbtProject::new();
    let holder = holder(&project.database());
    let held = format!("(pid {}, ", holder.0.id());
    let shown = dbmux(&project, &["who", "--dbt"]);
    let text = out(&shown);
    assert!(shown.status.success() && error(&shown).is_empty(), "{shown:?}");
    assert!(text.contains("the project's database is held by ") && text.contains(&held), "{text}");
    let waited = dbmux(&project, &["wait", "--dbt"]);
    assert!(waited.status.success() && !error(&waited).contains("unknown"), "{}", error(&waited));
    drop(holder);
    for made in ["logs", "target"] {
        assert!(!project.root().join(made).exists(), "asking writes nothing: {made}");
    }
    // A dbt that runs is seen without its database, and nobody waits for longer than was said.
    let dbt = Dbt::start(&project);
    until("it runs", || dbmux(&project, &["who", "--dbt", "--check"]).status.code() == Some(75));
    let (refused, took) = {
        let began = Instant::now();
        (dbmux(&project, &["wait", "--dbt", "--wait", "1s"]), began.elapsed())
    };
    assert_eq!(refused.status.code(), Some(75));
    assert!((Duration::from_secs(1)..Duration::from_secs(2)).contains(&took), "{took:?}");
    drop(dbt);

    let mut without = Command::new(env!("CARGO_BIN_EXE_dbmux"));
    without.args(["who", "--dbt"]).current_dir(project.root()).env_clear().env("PATH", "/nowhere");
    let without = without.output().expect("dbmux runs");
    assert!(without.status.success());
    assert!(error(&without).contains("the project's databases are unknown"), "{}", error(&without));
}

#[test]
fn a_relative_database_is_looked_for_from_the_project_and_from_here() {
    let project = DbtProject::new();
    project.write("profiles.yml", "company: {target: dev, outputs: {dev: {type: duckdb, path: own.duckdb}}}\n");
    for place in ["own.duckdb", "models/own.duckdb"] {
        let holder = holder(&project.root().join(place));
        let mut command = Command::new(env!("CARGO_BIN_EXE_dbmux"));
        command.args(["who", "--dbt"]).current_dir(project.root().join("models"));
        let text = out(&command.output().expect("dbmux runs"));
        assert!(text.contains(&format!("(pid {}, ", holder.0.id())), "{place}: {text}");
    }
}

#[test]
fn nonsense_is_refused() {
    let project = project();
    for words in [
        &["who"][..],
        &["who", "x.duckdb", "--dbt"],
        &["who", "x.duckdb", "--explain"],
        &["who", "x.duckdb", "--check"],
        &["wait"],
        &["wait", "--dbt", "--wait", "soon"],
        &["who", "--dbt", "/"],
    ] {
        let output = dbmux(&project, words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", error(&output));
    }
    assert!(Path::new(&project.root()).exists());
}
