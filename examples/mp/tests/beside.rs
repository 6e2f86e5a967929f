//! Any commands of `mp` beside any others, in processes of their own: what plain DuckDB refuses.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use dbmux_testkit::{Foreign, Place, Terminal, until};
use serde_json::Value;

/// Events of a whole fetch.
const EVENTS: u64 = 12_500;

/// `dbmux` is built beside `mp`, where `mp` itself finds it.
fn place() -> Place {
    let dbmux: PathBuf = Path::new(env!("CARGO_BIN_EXE_mp")).with_file_name("dbmux");
    assert!(dbmux.is_file(), "{} is missing: cargo build --release --workspace --bins", dbmux.display());
    Place::new(dbmux.to_str().unwrap())
}

fn mp(place: &Place, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mp"));
    place.set_up(&mut command);
    command.env_remove("MP_DB").env_remove("DBMUX_BIN");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn start(place: &Place, arguments: &[&str]) -> Child {
    mp(place, arguments).spawn().unwrap()
}

/// The JSON that a command printed, which must have succeeded.
fn told(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn end(child: Child) -> Value {
    told(&child.wait_with_output().unwrap())
}

fn ask(place: &Place, arguments: &[&str]) -> Value {
    told(&mp(place, arguments).output().unwrap())
}

#[test]
fn fetch_events_and_inspect_tables_at_once() {
    let place = place();
    let mut fetch = start(&place, &["fetch", "events", "--seconds", "4", "--json"]);
    until("the table is there", || mp(&place, &["inspect", "schema", "events"]).output().unwrap().status.success());
    let mut seen = Vec::new();
    while fetch.try_wait().unwrap().is_none() {
        let tables = ask(&place, &["inspect", "tables", "--json"]);
        assert_eq!(tables[0]["name"], "events");
        seen.push(
            ask(&place, &["query", "sql", "select count(*) as n from events", "--json"])[0]["n"].as_u64().unwrap(),
        );
    }
    assert_eq!(end(fetch)["events"], EVENTS);
    assert!(seen.is_sorted(), "{seen:?}");
    assert!(seen.iter().all(|rows| rows % 250 == 0), "half of a page was seen: {seen:?}");
    let during = seen.iter().filter(|rows| **rows > 0 && **rows < EVENTS).count();
    assert!(during >= 3, "nothing was read while the fetch ran: {seen:?}");
    assert_eq!(place.brokers().len(), 1);
}

#[test]
fn ten_commands_of_all_kinds_at_once() {
    let place = place();
    ask(&place, &["fetch", "events", "--seconds", "0", "--json"]);
    let commands: [&[&str]; 10] = [
        &["fetch", "events"],
        &["fetch", "events"],
        &["fetch", "events", "others"],
        &["inspect", "bookmarks"],
        &["inspect", "tables"],
        &["inspect", "schema", "events"],
        &["inspect", "sample", "events", "--rows", "3"],
        &["inspect", "describe", "events"],
        &["inspect", "column", "events", "name"],
        &["query", "sql", "select name, count(*) from events group by name"],
    ];
    let all = commands.map(|command| start(&place, &[command, &["--seconds", "2", "--json"]].concat()));
    let answers = all.map(end);
    for fetched in &answers[..3] {
        assert_eq!(fetched["events"], EVENTS);
    }
    let rows = [3, 1, 5, 3, 5, 1, 5];
    for (answer, (command, rows)) in answers[3..].iter().zip(commands[3..].iter().zip(rows)) {
        let found = answer.as_array().unwrap().len();
        assert!(found == rows || command[1] == "tables" && found == 2, "{command:?}: {answer}");
    }
    let count = |table: &str| ask(&place, &["query", "sql", &format!("select count(*) as n from {table}"), "--json"]);
    assert_eq!(count("events")[0]["n"], 3 * EVENTS);
    assert_eq!(count("others")[0]["n"], EVENTS);
}

#[test]
fn what_needs_no_database_touches_none() {
    let place = place();
    let bookmarks = ask(&place, &["inspect", "bookmarks", "--seconds", "0.1", "--json"]);
    assert_eq!(bookmarks.as_array().unwrap().len(), 3);
    assert!(mp(&place, &["--help"]).output().unwrap().status.success());
    let files = |path: &Path| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    assert_eq!(files(&place.path("")), [place.path("run")], "a file was made");
    assert_eq!(files(&place.path("run")), Vec::<PathBuf>::new(), "a socket was made");
    // Nor does it mind who has the file.
    let database = place.path("mp.duckdb");
    let _holder = Foreign::holding(&database, false);
    let before = std::fs::metadata(&database).unwrap().modified().unwrap();
    ask(&place, &["inspect", "bookmarks", "--seconds", "0.1", "--json"]);
    assert_eq!(std::fs::metadata(&database).unwrap().modified().unwrap(), before);
    assert!(!place.path("mp.duckdb.dbmux").exists());
}

#[test]
fn the_same_pair_on_plain_duckdb_is_refused() {
    let place = place();
    let database = place.path("plain.duckdb");
    let mut fetch = Foreign::holding(&database, false);
    let made = fetch.sql("create table events as select range as id from range(250)");
    assert!(made.starts_with("ok"), "{made}");
    for read_only in [true, false] {
        let refused = Foreign::start().open(&database, read_only);
        assert!(
            refused.starts_with("error IOException") && refused.contains("Could not set lock on file"),
            "{refused}"
        );
    }
    let more = fetch.sql("insert into events select range from range(250, 500)");
    assert!(more.starts_with("ok"), "{more}");
}

#[test]
fn errors_say_what_to_do() {
    let place = place();
    let missing = mp(&place, &["inspect", "tables", "--json"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&missing.stderr).unwrap();
    assert_eq!(error["code"], "NO_SUCH_DATABASE");
    assert!(!place.path("mp.duckdb").exists());

    let holder = Foreign::holding(&place.path("mp.duckdb"), false);
    let locked = mp(&place, &["inspect", "tables", "--wait", "200ms", "--json"]).output().unwrap();
    assert_eq!(locked.status.code(), Some(75), "{locked:?}");
    let error: Value = serde_json::from_slice(&locked.stderr).unwrap();
    assert_eq!(error["code"], "DATABASE_LOCKED");
    assert_eq!(error["holding_pid"], holder.pid());
    assert_eq!(error["suggestion"], "wait longer with --wait 2m");
    drop(holder);

    ask(&place, &["fetch", "events", "--seconds", "0", "--json"]);
    let written = mp(&place, &["query", "sql", "delete from events", "--json"]).output().unwrap();
    assert_eq!(written.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&written.stderr).unwrap();
    assert_eq!(error["code"], "READ_ONLY");
}

#[test]
fn progress_is_seen_on_a_terminal() {
    let place = place();
    let on_terminal = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mp"));
        place.set_up(&mut command);
        command.env_remove("MP_DB").env_remove("DBMUX_BIN").args(arguments);
        Terminal::start(command)
    };
    let fetch = on_terminal(&["fetch", "events", "--seconds", "3"]);
    let shown = |screen: &str| {
        let (_, rest) = screen.split_once("fetching ")?;
        let percent = rest.split_once(" %")?.0.split_whitespace().last()?.parse::<u32>().ok()?;
        let events = rest.split_once("· ")?.1.split_once(" events")?.0.parse::<u64>().ok()?;
        Some((percent, events))
    };
    let first = fetch.wait_for("its progress", |screen| shown(screen).is_some_and(|(percent, _)| percent > 0));
    let (percent, events) = shown(&first).unwrap();
    assert!(percent < 100 && events < EVENTS, "{first}");
    assert_eq!(events, u64::from(percent) * EVENTS / 100, "what the bar shows is in the file: {first}");
    fetch.wait_for("more of it", |screen| shown(screen).is_some_and(|(now, more)| now > percent && more > events));
    let last = fetch.last_screen();
    assert!(last.contains("12500 events are in events") && !last.contains("fetching"), "{last}");

    let bookmarks = on_terminal(&["inspect", "bookmarks", "--seconds", "2"]);
    bookmarks.wait_for("its spinner", |screen| screen.contains("asking for the saved reports"));
    let last = bookmarks.last_screen();
    assert!(last.contains("Sign-ups by city") && !last.contains("asking for"), "{last}");
}
