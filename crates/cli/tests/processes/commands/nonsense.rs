//! Variables that make no sense: each is a usage error that names it, its value, and what is allowed.

use std::process::Stdio;

use dbmux_testkit::Place;
use serde_json::Value;

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

/// What a broker reads, and the commands that start one look at: variable, flag, a value, a word of what is allowed.
const BROKERS: &[(&str, &str, &str, &str)] = &[
    ("DBMUX_RELEASE_AFTER", "--release-after", "x", "2m"),
    ("DBMUX_IDLE_EXIT", "--idle-exit", "-4", "2m"),
    ("DBMUX_IDLE_TRANSACTION", "--idle-transaction", "900y", "ten years"),
    ("DBMUX_DRAIN", "--drain", "x", "2m"),
    ("DBMUX_WORKERS", "--workers", "0", "1 to 256"),
    ("DBMUX_WORKERS", "--workers", "9..4", "1 to 256"),
    ("DBMUX_WORKERS", "--workers", "4..9999", "1 to 256"),
    ("DBMUX_QUEUE", "--queue", "many", "0 to 1000000"),
    ("DBMUX_MAX_INFLIGHT", "--max-inflight", "0", "1 to 1000000"),
    ("DBMUX_STORAGE_VERSION", "--storage-version", "nonsense", "v1.2.0, or latest"),
    ("DBMUX_MEMORY_LIMIT", "--memory-limit", "lots", "4GB"),
    ("DBMUX_MEMORY_LIMIT", "--memory-limit", "1", "4GB"),
    ("DBMUX_MEMORY_LIMIT", "--memory-limit", "0%", "60%"),
    ("DBMUX_MEMORY_LIMIT", "--memory-limit", "200%", "60%"),
    ("DBMUX_MEMORY_LIMIT", "--memory-limit", "0GB", "4GB"),
    ("DBMUX_THREADS", "--threads", "0", "1 to 1024"),
    ("DBMUX_THREADS", "--threads", "100000", "1 to 1024"),
];

/// What the others read, as above.
const OTHERS: &[(&str, &str, &str)] = &[
    ("DBMUX_WAIT", "soon", "2m"),
    ("DBMUX_PRIORITY", "urgent", "high"),
    ("DBMUX_LOG", "loud", "debug"),
    ("DBMUX_RUNTIME_DIR", "/dev/null", "directory"),
    ("DBMUX_RUNTIME_DIR", "/dev/null/deep", "directory"),
    ("DBMUX_RUNTIME_DIR", "relative", "absolute path"),
    ("DBMUX_SERIAL", "perhaps", "true or false"),
    ("DBMUX_INSTALL_EXTENSIONS", "1", "true or false"),
];

#[test]
fn a_variable_that_makes_no_sense_is_named_with_its_value_and_what_is_allowed() {
    let place = place();
    let brokers = BROKERS.iter().map(|(variable, _, value, allowed)| (variable, value, allowed));
    for (variable, value, allowed) in
        brokers.chain(OTHERS.iter().map(|(variable, value, word)| (variable, value, word)))
    {
        let output =
            place.dbmux(["sql", "a.duckdb", "select 1", "--json"]).env(variable, value).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{variable}={value}: {text}");
        let error: Value = serde_json::from_str(text.trim()).expect("one object");
        assert_eq!(error["code"], "USAGE", "{error}");
        let message = error["message"].as_str().expect("a message");
        assert!(message.starts_with(&format!("{variable}={value} makes no sense: ")), "{message}");
        assert!(message.contains(allowed) && message.lines().count() == 1, "{message}");
        // A person is told the same.
        let output = place.dbmux(["sql", "a.duckdb", "select 1"]).env(variable, value).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.starts_with(&format!("error: {message}\n")), "{text}");
    }
    assert!(place.brokers().is_empty() && !place.path("a.duckdb").exists(), "a broker was started for nothing");
}

#[test]
fn a_flag_that_makes_no_sense_is_named_as_it_was_typed() {
    let place = place();
    for (_, flag, value, allowed) in BROKERS {
        let output = place.run(["serve", "a.duckdb", &format!("{flag}={value}")]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flag}={value}: {text}");
        assert!(text.contains(flag) && text.contains(allowed) && !text.contains("DBMUX_"), "{text}");
    }
    assert!(!place.path("a.duckdb").exists());
}

#[test]
fn a_broker_tells_whoever_starts_it_which_variable_it_was() {
    // As a program that is no `dbmux sql` starts it.
    let place = place();
    let mut broker = place.dbmux(["broker", "--database", "a.duckdb"]);
    let output = broker.env("DBMUX_THREADS", "0").stdout(Stdio::piped()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let word = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(word.contains("DBMUX_THREADS=0 makes no sense: it is a number from 1 to 1024"), "{word:?}");
}

#[test]
fn what_is_allowed_is_taken_by_the_engine_too() {
    for value in ["4GB", "1.5 gib", "800MiB", "60%", "none"] {
        let place = place().with("DBMUX_MEMORY_LIMIT", value).with("DBMUX_THREADS", "3");
        assert_eq!(place.sql("a.duckdb", "select current_setting('threads')"), "3", "{value}");
    }
    let place = place().with("DBMUX_RUNTIME_DIR", "").with("DBMUX_BIN", "");
    let said = place.run(["status"]);
    assert!(said.status.success(), "an empty one is none: {said:?}");
}

#[test]
fn an_empty_variable_is_as_one_that_is_not_set() {
    let mut place = place();
    for variable in BROKERS.iter().map(|(variable, ..)| variable).chain(OTHERS.iter().map(|(variable, ..)| variable)) {
        if *variable != "DBMUX_RUNTIME_DIR" {
            place = place.with(variable, "");
        }
    }
    assert_eq!(place.sql("a.duckdb", "select 42"), "42");
    assert!(place.run(["lock", "a.duckdb", "--", "true"]).status.success());
    assert!(place.run(["stop", "a.duckdb"]).status.success());
}

#[test]
fn a_runtime_directory_that_is_open_to_others_is_no_place_for_a_broker() {
    let place = place();
    place.sql("a.duckdb", "select 1");
    let run = place.path("run");
    let mode =
        |bits| std::fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(bits)).expect("a mode");
    mode(0o755);
    for arguments in [&["sql", "a.duckdb", "select 1"][..], &["sql", "b.duckdb", "select 1"], &["serve", "b.duckdb"]] {
        let (code, error) = place.fails(arguments);
        assert_eq!((code, error["code"].as_str()), (69, Some("BROKER_UNAVAILABLE")), "{arguments:?}: {error}");
        assert_eq!(error["suggestion"], format!("chmod 700 {}", run.display()), "{error}");
    }
    assert!(place.run(["who", "a.duckdb"]).status.success(), "who has the file is seen all the same");
    mode(0o700);
    assert_eq!(place.sql("a.duckdb", "select 42"), "42", "the hint helps");
}

/// A test of a library client's own environment: run again in a process that has it.
#[test]
fn a_client_in_a_program_refuses_a_relative_runtime_directory_too() {
    const INNER: &str = "DBMUX_TEST_INNER";
    if std::env::var_os(INNER).is_some() {
        let error =
            dbmux_client::Client::open("/tmp/any.duckdb", dbmux_client::ClientOptions::default()).expect_err("refused");
        assert!(error.to_string().contains("DBMUX_RUNTIME_DIR=relative"), "{error}");
        return;
    }
    let own = std::env::current_exe().expect("this program");
    let name = "commands::nonsense::a_client_in_a_program_refuses_a_relative_runtime_directory_too";
    let mut inner = std::process::Command::new(own);
    inner.args(["--exact", name]).env(INNER, "1").env("DBMUX_RUNTIME_DIR", "relative").current_dir("/tmp");
    let output = inner.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
