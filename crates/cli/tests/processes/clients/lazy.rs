//! What starts nothing, makes nothing and opens nothing: opening a client, and looking.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use dbmux_client::{Client, ClientOptions};
use dbmux_testkit::Place;

/// Everything below a directory, with its size and when it was changed last.
fn listing(directory: &Path) -> BTreeMap<PathBuf, (u64, std::time::SystemTime)> {
    let mut all = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry")) {
            let about = entry.metadata().expect("it is there");
            all.insert(entry.path(), (about.len(), about.modified().expect("a time")));
            if about.is_dir() {
                open.push(entry.path());
            }
        }
    }
    all
}

/// A place without a runtime directory; a database is there, or is not.
fn place(with_database: bool) -> Place {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    fs::remove_dir(place.path("run")).expect("it is empty");
    if with_database {
        // Not read, so it need not be one.
        fs::write(place.path("a.duckdb"), "a database, for all they know").expect("a file");
    }
    place
}

#[tokio::test]
async fn opening_a_client_and_looking_makes_nothing() {
    for with_database in [false, true] {
        let place = place(with_database);
        let before = listing(&place.path("."));
        let client = place.client("a.duckdb", ClientOptions::default());
        assert!(client.status().await.expect("a look").is_none());
        assert!(client.stats().await.expect("a look").is_none());
        assert!(client.stop(Duration::from_secs(1)).await.expect("a look").is_none());
        let blocking = place.blocking_client("a.duckdb", ClientOptions::default());
        assert!(blocking.status().expect("a look").is_none());
        assert!(blocking.stats().expect("a look").is_none());
        assert!(blocking.stop(Duration::from_secs(1)).expect("a look").is_none());
        drop((client.clone(), client, blocking));
        assert_eq!(listing(&place.path(".")), before, "something was made");
        assert!(place.brokers().is_empty(), "a broker was started");
    }
}

#[tokio::test]
async fn where_none_may_be_started_or_made_nothing_is() {
    let place = place(false);
    let before = listing(&place.path("."));
    let never = ClientOptions { start: false, ..ClientOptions::default() };
    place.client("a.duckdb", never).session().await.expect_err("none may be started");
    let no_file = ClientOptions { create: false, ..ClientOptions::default() };
    place.client("a.duckdb", no_file).session().await.expect_err("none may be made");
    let reader = ClientOptions { read_only: true, ..ClientOptions::default() };
    place.client("a.duckdb", reader).session().await.expect_err("none may be made");
    Client::open(place.path("nowhere/a.duckdb"), ClientOptions::default()).expect_err("there is no directory");
    assert_eq!(listing(&place.path(".")), before, "something was made");
}

const LOOKS: &[&[&str]] = &[
    &["status"],
    &["status", "a.duckdb"],
    &["status", "a.duckdb", "--json"],
    &["stats", "a.duckdb"],
    &["stop", "a.duckdb"],
    &["who", "a.duckdb"],
    &["sql", "--help"],
    &["completions", "bash"],
];

#[test]
fn looking_on_the_command_line_makes_nothing() {
    for with_database in [false, true] {
        let place = place(with_database);
        let before = listing(&place.path("."));
        for look in LOOKS {
            let output = place.run(*look);
            assert!(output.status.success(), "{look:?}: {}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(listing(&place.path(".")), before, "{look:?} made something");
        }
        assert!(place.brokers().is_empty(), "a broker was started");
    }
}

/// No look opens the database or its sidecar, or anything for writing.
#[test]
fn looking_opens_nothing_of_the_database() {
    let place = place(true);
    for look in LOOKS {
        let trace = place.path("trace");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-e", "trace=open,openat,openat2,creat,mkdir,mkdirat,execve,unlink,rename", "-o"]);
        command.arg(&trace).arg(place.binary()).args(*look);
        place.set_up(&mut command);
        let output = command.output().expect("strace is installed");
        assert!(output.status.success(), "{look:?}: {}", String::from_utf8_lossy(&output.stderr));
        let text = fs::read_to_string(&trace).expect("a trace");
        assert!(text.contains("execve"), "this test sees nothing");
        let executed = text.lines().filter(|line| line.contains("execve(") && line.contains(" = 0")).count();
        assert_eq!(executed, 1, "{look:?} starts something: {text}");
        let ours = place.path("").display().to_string();
        let touches = |line: &&str| line.contains("a.duckdb") && !line.contains("execve(");
        let makes = |line: &&str| {
            line.contains(&ours) && ["O_CREAT", "O_WRONLY", "O_RDWR", "mkdir"].iter().any(|what| line.contains(what))
        };
        let wrong: Vec<_> = text.lines().filter(|line| touches(line) || makes(line)).collect();
        // A sidecar that is not there may be asked for; nothing may be had.
        let wrong: Vec<_> = wrong.into_iter().filter(|line| !line.contains("ENOENT")).collect();
        assert!(wrong.is_empty(), "{look:?}: {wrong:#?}");
        fs::remove_file(trace).expect("the trace");
    }
}
