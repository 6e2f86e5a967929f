//! Places that cannot be: each is refused by name, makes nothing, and is served as soon as it is as it should be.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::{Command, Stdio},
};

use dbmux_testkit::{Foreign, Place, until};
use serde_json::Value;

const NOBODY: u32 = 65534;

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

fn says(error: &Value, code: &str, words: &[&str]) {
    assert_eq!(error["code"], code, "{error}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "it does not say {word:?}: {error}");
    }
}

fn output(mut command: Command) -> (i32, String, Value) {
    let output = command.output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let error = errors.lines().rev().find_map(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned() + &errors, error)
}

/// A place in which commands run as a user who may not do everything: root is no judge of permissions.
struct AsNobody {
    place: Place,
}

impl AsNobody {
    fn new() -> Self {
        let place = place();
        let inside = place.path("inside");
        fs::create_dir(&inside).expect("a directory");
        fs::copy(env!("CARGO_BIN_EXE_dbmux"), place.path("dbmux")).expect("a binary that everybody may run");
        if is_root() {
            fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).expect("everybody may pass");
            for path in [inside, place.path("run")] {
                chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
            }
        }
        Self { place }
    }

    fn dbmux(&self, arguments: &[&str]) -> (i32, String, Value) {
        let binary = self.place.path("dbmux");
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]).arg("--clear-groups").arg(binary);
            command
        } else {
            Command::new(binary)
        };
        self.place.set_up(&mut command);
        command.args(arguments).arg("--json");
        output(command)
    }

    fn allow(&self, name: &str, mode: u32) {
        fs::set_permissions(self.place.path(name), fs::Permissions::from_mode(mode)).expect("it is there");
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_directory_without_write_permission_is_named() {
    let nobody = AsNobody::new();
    nobody.allow("inside", 0o555);
    let (code, text, error) = nobody.dbmux(&["sql", "inside/a.duckdb", "create table t (i int)"]);
    assert_ne!(code, 0, "{text}");
    says(&error, "PERMISSION_DENIED", &["inside/a.duckdb"]);
    assert_eq!(fs::read_dir(nobody.place.path("inside")).expect("a look").count(), 0, "something was made");

    nobody.allow("inside", 0o755);
    let (code, text, _) = nobody.dbmux(&["sql", "inside/a.duckdb", "create table t as select 1 as i"]);
    assert_eq!(code, 0, "{text}");
    let (_, text, _) = nobody.dbmux(&["sql", "inside/a.duckdb", "from t", "--format", "csv"]);
    assert_eq!(text, "i\n1\n");
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let nobody = AsNobody::new();
    let (code, text, _) = nobody.dbmux(&["sql", "inside/a.duckdb", "create table t as select 1 as i"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(nobody.dbmux(&["stop", "inside/a.duckdb"]).0, 0);
    nobody.allow("inside/a.duckdb", 0o000);
    let (code, text, error) = nobody.dbmux(&["sql", "inside/a.duckdb", "from t"]);
    assert_ne!(code, 0, "{text}");
    says(&error, "PERMISSION_DENIED", &["inside/a.duckdb"]);
    // The same broker serves it as soon as it may.
    nobody.allow("inside/a.duckdb", 0o644);
    let (_, text, _) = nobody.dbmux(&["sql", "inside/a.duckdb", "from t", "--format", "csv"]);
    assert_eq!(text, "i\n1\n");
}

#[test]
fn what_is_no_database_is_named_and_left_as_it_is() {
    let place = place();
    fs::create_dir(place.path("directory.duckdb")).expect("a directory");
    fs::write(place.path("text.duckdb"), "id,name\n1,ada\n".repeat(1000)).expect("a file");
    fs::write(place.path("zeros.duckdb"), vec![0; 100_000]).expect("a file");
    fs::write(place.path("short.duckdb"), "x").expect("a file");
    for name in ["directory.duckdb", "text.duckdb", "zeros.duckdb", "short.duckdb"] {
        let path = place.path(name);
        let before = fs::read(&path).ok();
        for sql in ["select 1", "create table t (i int)"] {
            let (code, error) = place.fails(&["sql", name, sql]);
            assert_eq!(code, 1, "{error}");
            let code = if before.is_some() { "NOT_A_DATABASE" } else { "INVALID_ARGUMENT" };
            says(&error, code, &[name]);
        }
        assert_eq!(fs::read(&path).ok(), before, "{name} was changed");
        if before.is_some() {
            fs::remove_file(&path).expect("it is there");
            assert_eq!(place.sql(name, "select 42"), "42", "the broker serves what is a database");
        }
    }
}

#[test]
fn serve_refuses_at_once_what_is_no_database() {
    let place = place();
    fs::create_dir(place.path("directory.duckdb")).expect("a directory");
    fs::write(place.path("text.duckdb"), "id,name\n1,ada\n".repeat(1000)).expect("a file");
    fs::write(place.path("picture.duckdb"), b"\x89PNG\r\n and more").expect("a file");
    for name in ["directory.duckdb", "text.duckdb", "picture.duckdb"] {
        let mut serve = place.dbmux(["serve", name]).stderr(Stdio::piped()).spawn().expect("dbmux starts");
        let mut code = None;
        until("it refuses", || {
            code = serve.try_wait().expect("a look").and_then(|status| status.code());
            code.is_some()
        });
        let told = serve.wait_with_output().expect("its end");
        let told = String::from_utf8_lossy(&told.stderr).into_owned();
        let (by_sql, error) = place.fails(&["sql", name, "select 1"]);
        assert_eq!(code, Some(by_sql), "{told}");
        let message = error["message"].as_str().expect("a message");
        assert_eq!(told.trim_end(), format!("error: {message}"), "as `dbmux sql` says it");
        assert!(!place.path(&format!("{name}.dbmux")).exists(), "nothing is laid beside what is no database");
    }
    // What may become one, and what somebody else has now, is served.
    let mut foreign = Foreign::holding(&place.path("held.duckdb"), false);
    for name in ["new.duckdb", "held.duckdb"] {
        let mut serve = place.dbmux(["serve", name]).stderr(Stdio::piped()).spawn().expect("dbmux starts");
        let mut said = String::new();
        let mut words = BufReader::new(serve.stderr.take().expect("its words"));
        words.read_line(&mut said).expect("it speaks");
        assert!(said.starts_with("serving "), "{said}");
        assert!(place.run(["stop", name]).status.success());
        assert!(serve.wait().expect("its end").success());
    }
    foreign.kill();
}

#[test]
fn a_database_of_another_engine_is_named_with_both_engines() {
    let place = place();
    let path = place.path("a.db");
    let script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nc.execute('create table t (i)')\nc.commit()";
    let made = Command::new("python3").args(["-c", script]).arg(&path).status().expect("Python runs");
    assert!(made.success());
    let before = fs::read(&path).expect("a file");
    for sql in ["from t", "create table u (i int)"] {
        let (code, error) = place.fails(&["sql", "a.db", sql, "--engine", "duckdb"]);
        assert_eq!(code, 1, "{error}");
        says(&error, "INVALID_ARGUMENT", &["a.db"]);
        let message = error["message"].as_str().expect("a message").to_lowercase();
        assert!(message.contains("sqlite") && message.contains("duckdb"), "{error}");
    }
    assert_eq!(fs::read(&path).expect("a file"), before, "it was changed");
    assert!(!place.path("a.db.wal").exists());
    fs::remove_file(&path).expect("it is there");
    assert_eq!(place.sql("a.db", "select 42"), "42", "the broker serves what is a database");
}

#[test]
fn a_path_that_leads_nowhere_is_named() {
    let place = place();
    let (code, error) = place.fails(&["sql", "no/such/a.duckdb", "select 1"]);
    assert_eq!(code, 1, "{error}");
    says(&error, "NO_SUCH_DATABASE", &["no/such"]);
    assert_eq!(error["message"], "the directory of no/such/a.duckdb does not exist", "told once");
    let told = place.run(["serve", "no/such/a.duckdb"]);
    assert_eq!(told.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&told.stderr).starts_with("error: the directory of no/such/a.duckdb does not"));
    let (_, error) = place.fails(&["sql", "a.duckdb", "select 1", "--read-only"]);
    says(&error, "NO_SUCH_DATABASE", &["a.duckdb"]);
    assert!(!Path::new(&place.path("a.duckdb")).exists());
    assert!(place.brokers().is_empty(), "a broker was started for nothing");
}

/// Log and sidecar go by the name: by the other one, the rows in the log would not be there, and be lost.
#[test]
fn a_database_with_two_names_is_refused_and_loses_nothing() {
    let place = place();
    place.sql("hl.duckdb", "create table t (i int); insert into t values (1)");
    assert_eq!(place.kill_brokers(), 1);
    assert!(place.path("hl.duckdb.wal").exists(), "a row is in the log");
    fs::hard_link(place.path("hl.duckdb"), place.path("hm.duckdb")).expect("a link");
    for name in ["hm.duckdb", "hl.duckdb"] {
        let (code, error) = place.fails(&["sql", name, "insert into t values (2)"]);
        assert_eq!(code, 1, "{error}");
        says(&error, "REFUSED", &[name]);
        let hint = error["suggestion"].as_str().expect("a hint");
        assert!(hint.contains("2 names (hard links)") && hint.contains("copy"), "{hint}");
    }
    assert!(!place.path("hm.duckdb.dbmux").exists() && place.brokers().is_empty(), "nothing was begun");
    fs::remove_file(place.path("hm.duckdb")).expect("it is there");
    assert_eq!(place.sql("hl.duckdb", "from t"), "1");
    // A link that is made while the broker lives is seen when it attaches again.
    until("the file is released", || place.status("hl.duckdb")["state"] == "released");
    fs::hard_link(place.path("hl.duckdb"), place.path("hm.duckdb")).expect("a link");
    says(&place.fails(&["sql", "hl.duckdb", "from t"]).1, "REFUSED", &["hl.duckdb"]);
    fs::remove_file(place.path("hm.duckdb")).expect("it is there");
    assert_eq!(place.sql("hl.duckdb", "from t"), "1");
}

#[test]
fn a_log_of_another_state_is_told_as_that() {
    let place = place();
    place.sql("a.duckdb", "create table t (i int); insert into t values (1)");
    assert_eq!(place.kill_brokers(), 1);
    fs::copy(place.path("a.duckdb.wal"), place.path("old.wal")).expect("there is a log");
    place.sql("a.duckdb", "insert into t values (2)");
    assert!(place.run(["stop", "a.duckdb"]).status.success());
    fs::rename(place.path("old.wal"), place.path("a.duckdb.wal")).expect("a log");
    let (code, error) = place.fails(&["sql", "a.duckdb", "from t"]);
    assert_eq!(code, 1, "{error}");
    says(&error, "DATABASE_DAMAGED", &["a.duckdb"]);
    assert!(error["suggestion"].as_str().is_some_and(|hint| hint.contains("put the log aside")), "{error}");
    // The hint is true.
    fs::rename(place.path("a.duckdb.wal"), place.path("aside.wal")).expect("a log");
    assert_eq!(place.sql("a.duckdb", "select sum(i) from t"), "3");
}

#[test]
fn a_damaged_file_is_told_as_that() {
    let place = place();
    place.sql("whole.duckdb", "create table t as from range(100000)");
    assert!(place.run(["stop", "whole.duckdb"]).status.success());
    let whole = fs::read(place.path("whole.duckdb")).expect("a file");
    let mut broken = whole.clone();
    broken[4096..16384].fill(0x5a);
    for (name, bytes) in [("broken.duckdb", broken.as_slice()), ("short.duckdb", &whole[..9000])] {
        fs::write(place.path(name), bytes).expect("a file");
        let (code, error) = place.fails(&["sql", name, "from t"]);
        assert_eq!(code, 1, "{error}");
        says(&error, "DATABASE_DAMAGED", &[name]);
        assert!(error["suggestion"].as_str().is_some_and(|hint| hint.contains("restore")), "{error}");
        // The same broker serves it when it has been restored.
        fs::write(place.path(name), &whole).expect("a file");
        assert_eq!(place.sql(name, "select count(*) from t"), "100000");
    }
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let place = place();
    fs::write(place.path("empty.duckdb"), "").expect("a file");
    fs::write(place.path("text.csv"), "id,name\n1,ada\n").expect("a file");
    for (name, word) in [("empty.duckdb", "empty"), ("text.csv", "a text file")] {
        for sql in ["select 1", "create table t (i int)"] {
            let (code, error) = place.fails(&["sql", name, sql]);
            assert_eq!(code, 1, "{error}");
            says(&error, "NOT_A_DATABASE", &[name]);
            let message = error["message"].as_str().expect("a message");
            // Once in its name.
            assert_eq!(message.matches(word).count(), if word == "empty" { 2 } else { 1 }, "told once: {message}");
            assert_eq!(error["suggestion"].is_string(), word == "empty", "{error}");
        }
        assert!(!place.path(&format!("{name}.dbmux")).exists(), "a sidecar beside {name}");
        assert!(place.brokers().is_empty(), "a broker of {name}");
    }
    let (code, error) = place.fails(&["sql", ":memory:", "select 1"]);
    assert_eq!(code, 1, "{error}");
    says(&error, "INVALID_ARGUMENT", &[":memory:"]);
    assert!(error["suggestion"].as_str().is_some_and(|hint| hint.contains("name a file")), "{error}");
    assert!(!place.path(":memory:").exists() && !place.path(":memory:.dbmux").exists() && place.brokers().is_empty());
}

#[test]
fn a_sidecar_that_is_none_is_named_with_what_to_do() {
    let place = place();
    fs::write(place.path("a.duckdb.dbmux"), "garbage").expect("a file");
    for command in [["sql", "a.duckdb", "select 1"].as_slice(), &["who", "a.duckdb"], &["stats", "a.duckdb"]] {
        let (code, error) = place.fails(command);
        assert_eq!(code, 1, "{error}");
        says(&error, "INVALID_ARGUMENT", &["a.duckdb.dbmux"]);
        assert!(error["db_path"].as_str().is_some_and(|path| path.ends_with("a.duckdb")), "{command:?}: {error}");
        assert!(error["suggestion"].as_str().is_some_and(|hint| hint.contains("move away")), "{command:?}: {error}");
    }
    fs::remove_file(place.path("a.duckdb.dbmux")).expect("it is there");
    assert_eq!(place.sql("a.duckdb", "select 42"), "42");
}

/// The file is put aside under an open session: nothing more is acknowledged, and the hint helps.
#[test]
fn a_file_that_is_moved_away_is_told_with_what_to_do() {
    let place = place().with("DBMUX_RELEASE_AFTER", "1h");
    place.sql("a.duckdb", "create table t as select 1 as i");
    fs::rename(place.path("a.duckdb"), place.path("moved.duckdb")).expect("it is there");
    fs::write(place.path("a.duckdb"), "something else").expect("a file");
    let (code, error) = place.fails(&["sql", "a.duckdb", "insert into t values (2)"]);
    assert_eq!(code, 1, "{error}");
    says(&error, "FILE_LOST", &["a.duckdb"]);
    assert!(error["suggestion"].as_str().is_some_and(|hint| hint.contains("put the attached one back")), "{error}");
    fs::rename(place.path("moved.duckdb"), place.path("a.duckdb")).expect("it is there");
    until("it is served again", || place.run(["sql", "a.duckdb", "from t"]).status.success());
    let rows = place.sql("a.duckdb", "select i from t order by i");
    assert!(rows.starts_with('1'), "what was acknowledged is there: {rows}");
}
