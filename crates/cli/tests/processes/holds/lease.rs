//! `dbmux run`: the file is handed over to a command that opens it itself, a real DuckDB in Python; everybody else waits, and
//! is told for whom.
use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use dbmux_testkit::{Foreign, Place, Shell, python, until};
use serde_json::Value;

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn others_wait_and_see_the_command_that_has_the_file() {
    let place = place();
    place.make("a.duckdb", "create table t (i int)");
    let mut tool = Foreign::leased(&place, &["a.duckdb"]);
    let pid = tool.own_pid();
    assert!(tool.open(&place.path("a.duckdb"), false).starts_with("ok"));
    tool.sql("insert into t values (1)");

    let status = place.status("a.duckdb");
    assert_eq!(status["state"], "leased", "{status}");
    let holder = &status["holders"][0];
    assert_eq!((&holder["kind"], &holder["pid"]), (&"lease".into(), &pid.into()), "{status}");
    assert!(holder["command"].as_str().is_some_and(|command| command.contains("python")), "{status}");

    let who: Value = serde_json::from_slice(&place.run(["who", "a.duckdb", "--json"]).stdout).expect("JSON");
    assert_eq!((&who["holders"][0]["kind"], &who["holders"][0]["pid"]), (&"lease".into(), &pid.into()), "{who}");
    assert_eq!(who["file_lock"]["holders"][0]["kind"], "lease", "{who}");

    for sql in ["insert into t values (0)", "from t", "create table u as select 1 as i"] {
        let (code, error) = place.fails(&["sql", "a.duckdb", sql, "--wait", "300ms", "--reads", "wait"]);
        assert_eq!((code, &error["code"]), (75, &"DATABASE_LOCKED".into()), "{sql}: {error}");
        assert_eq!((&error["holding_pid"], &error["holder"]["kind"]), (&pid.into(), &"lease".into()), "{error}");
        assert!(error["holder"]["held_s"].as_f64().is_some_and(|held| held < 60.0), "{error}");
    }
    let mut writer = Shell::start(&place, "a.duckdb", &[]);
    writer.tell("insert into t values (2)");
    until("it waits", || place.status("a.duckdb")["queued"].as_array().is_some_and(|queued| queued.len() == 1));
    tool.close();
    assert!(tool.open(&place.path("a.duckdb"), false).starts_with("ok"), "somebody attached between two openings");
    tool.sql("insert into t values (3)");
    tool.close();
    assert!(tool.end().success());
    writer.done("insert into t values (4)");
    assert_eq!(place.sql("a.duckdb", "from t order by i"), "1\n2\n3\n4");
    assert_eq!(place.status("a.duckdb")["state"], "attached");
}

#[test]
fn a_wait_for_a_lease_is_told_in_words() {
    let place = place();
    place.make("a.duckdb", "create table t (i int)");
    let tool = Foreign::leased(&place, &["a.duckdb"]);
    let output = place.run(["sql", "a.duckdb", "insert into t values (1)", "--wait", "900ms"]);
    let error = text(&output.stderr);
    assert!(error.contains("waiting for ") && error.contains("python"), "{error}");
    assert!(error.contains("error: a.duckdb is in use\n  held by  ") && error.contains("gave up after"), "{error}");
    drop(tool);
}

#[test]
fn it_needs_no_broker_and_starts_none() {
    let place = place();
    let script = "import duckdb; duckdb.connect('new.duckdb').execute('create table t as select 42 as i')";
    let python = python();
    let output = place.run(["run", "new.duckdb", "--", python.to_str().expect("text"), "-c", script]);
    assert!(output.status.success(), "{output:?}");
    assert!(place.brokers().is_empty(), "a broker was started");
    let left: Vec<_> = std::fs::read_dir(place.path("run")).expect("a directory").collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(place.sql("new.duckdb", "from t"), "42");
    let mode = |name: &str| std::os::unix::fs::MetadataExt::mode(&place.path(name).metadata().expect("a file"));
    assert_eq!(mode("new.duckdb"), mode("new.duckdb.dbmux"));
}

#[test]
fn the_commands_streams_arguments_and_exit_code_are_its_own() {
    let place = place();
    for code in [0, 1, 42, 75, 255] {
        let output = place.run(["run", "a.duckdb", "--", "sh", "-c", &format!("exit {code}")]);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
    }
    let output = place.run(["run", "a.duckdb", "--", "printf", "%s|", "a b", "--wait", "$HOME"]);
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("a b|--wait|$HOME|".into(), String::new()));
    let mut cat = place.dbmux(["run", "a.duckdb", "b.duckdb", "--", "cat"]);
    let mut cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    std::io::Write::write_all(&mut cat.stdin.take().expect("its input"), b"through\n").expect("it listens");
    assert_eq!(text(&cat.wait_with_output().expect("its end").stdout), "through\n");
}

#[test]
fn nonsense_is_refused_by_name_and_leaves_nothing_held() {
    let place = place();
    place.sql("a.duckdb", "select 1");
    std::fs::create_dir(place.path("folder")).expect("a directory");
    std::fs::write(place.path("plain.txt"), "x").expect("a file");
    let cases: [(&[&str], i32, &str); 8] = [
        (&["a.duckdb", "--", "no-such-command-anywhere"], 127, "no-such-command-anywhere"),
        (&["a.duckdb", "--", "./plain.txt"], 126, "./plain.txt"),
        (&["a.duckdb", "true"], 2, "CMD"),
        (&["a.duckdb", "--"], 2, "CMD"),
        (&["--", "true"], 2, "DB"),
        (
            &["folder", "--", "true"],
            1,
            "open folder: it is a directory, and there are no tables of LanceDB's in it; name the database's file",
        ),
        (&["a.duckdb", "nowhere/b.duckdb", "--", "true"], 1, "nowhere/b.duckdb"),
        (&[":memory:", "--", "true"], 1, ":memory:"),
    ];
    for (arguments, code, named) in cases {
        let output = place.run(["run"].iter().chain(arguments));
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(named), "{arguments:?}: {error}");
        assert_eq!(place.sql("a.duckdb", "select 1"), "1", "{arguments:?}");
    }
}

/// Two names of one file would be two leases on it at once; log and locks are no databases at all.
#[test]
fn names_that_belong_to_another_database_are_refused() {
    let place = place();
    place.sql("a.duckdb", "create table t as select 1 as i");
    place.sql("b.duckdb", "create table t as select 2 as i");
    until("the file is let go", || place.status("a.duckdb")["state"] == "released");
    std::fs::hard_link(place.path("a.duckdb"), place.path("second.duckdb")).expect("a link");
    for (name, why) in [
        ("second.duckdb", "2 names (hard links)"),
        ("a.duckdb", "2 names (hard links)"),
        ("b.duckdb.wal", "another database's log"),
        ("b.duckdb.dbmux", "dbmux's locks"),
    ] {
        let output = place.run(["run", name, "--", "echo", "in"]);
        let error = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()), "{name}: {error}");
        assert!(error.contains(name) && error.contains(why), "{name}: {error}");
        assert!(!place.path(&format!("{name}.dbmux")).exists() || name == "a.duckdb");
    }
    assert!(!place.path("second.duckdb.dbmux").exists(), "nothing was begun");
    std::fs::remove_file(place.path("second.duckdb")).expect("it is there");
    assert!(place.run(["run", "a.duckdb", "--", "true"]).status.success());
}

/// Whoever does not wait for others takes what nobody uses.
#[test]
fn now_or_never() {
    let place = place().with("DBMUX_RELEASE_AFTER", "60s");
    place.sql("a.duckdb", "create table t (i int)");
    assert_eq!(place.status("a.duckdb")["state"], "attached");
    assert!(place.run(["run", "a.duckdb", "--wait", "0", "--", "true"]).status.success(), "nobody used it");

    let mut idle = Shell::start(&place, "a.duckdb", &[]);
    idle.done("begin; insert into t values (1)");
    let began = Instant::now();
    let (code, error) = place.fails(&["run", "a.duckdb", "--wait", "0", "--json", "--", "true"]);
    assert_eq!((code, &error["holding_pid"]), (75, &idle.pid().into()), "{error}");
    assert_eq!((&error["holder"]["kind"], &error["waited_s"]), (&"session".into(), &0.0.into()), "{error}");
    idle.done("insert into t values (2); commit");

    let mut tool = Foreign::leased(&place, &["a.duckdb"]);
    let (code, error) = place.fails(&["run", "a.duckdb", "--wait", "0", "--json", "--", "true"]);
    assert_eq!((code, &error["holding_pid"]), (75, &tool.own_pid().into()), "{error}");
    assert_eq!(error["holder"]["kind"], "lease", "{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "it waited: {:?}", began.elapsed());
    drop(tool);
    assert_eq!(place.sql("a.duckdb", "select count(*) from t"), "2");
}

/// A process that never asked dbmux has the file open.
#[test]
fn a_foreign_holder_is_named_and_waited_for() {
    let place = place();
    place.make("a.duckdb", "create table t (i int)");
    until("the file is let go", || place.status("a.duckdb")["state"] == "released");
    for read_only in [false, true] {
        let mut foreign = Foreign::holding(&place.path("a.duckdb"), read_only);
        let (code, error) = place.fails(&["run", "a.duckdb", "--wait", "300ms", "--json", "--", "true"]);
        assert_eq!((code, &error["code"]), (75, &"DATABASE_LOCKED".into()), "{error}");
        assert_eq!((&error["holding_pid"], &error["holder"]["kind"]), (&foreign.pid().into(), &"process".into()));
        let waiting = place.dbmux(["run", "a.duckdb", "--", "echo", "through"]).stdout(Stdio::piped()).spawn();
        let waiting = waiting.expect("it starts");
        until("it has the file lock", || {
            let who: Value = serde_json::from_slice(&place.run(["who", "a.duckdb", "--json"]).stdout).expect("JSON");
            who["file_lock"]["holders"][0]["command"] == "echo through"
        });
        foreign.close();
        assert_eq!(text(&waiting.wait_with_output().expect("its end").stdout), "through\n");
    }
}

/// What has the file open and waits for our end is not waited for.
#[test]
fn a_holder_around_us_is_not_waited_for() {
    let place = place();
    place.make("a.duckdb", "create table t (i int)");
    until("the file is let go", || place.status("a.duckdb")["state"] == "released");
    let mut foreign = Foreign::holding(&place.path("a.duckdb"), false);
    let (database, binary) = (place.path("a.duckdb"), place.binary().to_owned());
    let run = format!(
        "__import__('subprocess').run([{:?}, 'run', {:?}, '--', 'true'], capture_output=True).stderr.decode()",
        binary.to_str().expect("text"),
        database.to_str().expect("text")
    );
    let began = Instant::now();
    let answer = foreign.tell(&run);
    assert!(answer.contains("a command that this one runs inside of: waiting cannot help"), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(10));
}
