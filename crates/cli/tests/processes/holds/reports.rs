//! What errors and reports say of others is true: who, since when, and for how long one waited.

use std::time::{Duration, Instant};

use dbmux_lock::{Lock, LockName, Mode, Request};
use dbmux_testkit::{Foreign, Place, Shell, until};
use serde_json::Value;

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

#[test]
fn a_broker_that_cannot_start_says_who_is_the_owner() {
    let place = place();
    let owner = Lock::open_for_database(&place.path("a.duckdb"), LockName::Owner).expect("a sidecar");
    let _owned = owner.acquire(&Request::new(Mode::Exclusive).command("a tool")).expect("the owner lock");
    let output = place.run(["serve", "a.duckdb", "--start-wait", "300ms"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(75), "{text}");
    assert!(text.contains("a.duckdb is in use"), "{text}");
    assert!(text.contains(&format!("held by  a tool   (pid {}", std::process::id())), "{text}");
    assert!(text.contains("gave up after 30"), "{text}");
}

#[test]
fn a_client_whose_broker_cannot_start_says_who_is_the_owner() {
    let place = place();
    let owner = Lock::open_for_database(&place.path("a.duckdb"), LockName::Owner).expect("a sidecar");
    let _owned = owner.acquire(&Request::new(Mode::Exclusive).command("a tool")).expect("the owner lock");
    let began = Instant::now();
    let (code, error) = place.fails(&["sql", "a.duckdb", "select 1", "--wait", "600ms"]);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!((code, &error["code"]), (75, &Value::from("DATABASE_LOCKED")), "{error}");
    assert_eq!(error["holder"]["command"], "a tool", "{error}");
    assert_eq!(error["holding_pid"], std::process::id(), "{error}");
}

#[test]
fn our_own_lock_is_seen_beside_a_foreign_reader_for_as_long_as_it_is_there() {
    let place = place().with("DBMUX_RELEASE_AFTER", "1h");
    place.make("a.duckdb", "create table t as select 7 as i");
    assert!(place.run(["stop", "a.duckdb"]).status.success());
    let _reader = Foreign::holding(&place.path("a.duckdb"), true);
    assert_eq!(place.sql("a.duckdb", "from t"), "7");
    assert_eq!(place.status("a.duckdb")["read_only"], true);
    // Longer than the pause between two looks at the lock.
    std::thread::sleep(Duration::from_millis(4500));
    assert_eq!(place.status("a.duckdb")["read_only"], true);
    assert_eq!(place.sql("a.duckdb", "from t"), "7");
}

#[test]
fn a_foreign_holder_has_the_file_since_it_was_seen_with_it_not_since_it_was_born() {
    let place = place();
    place.make("a.duckdb", "create table t (i int)");
    let mut foreign = Foreign::start();
    let born = Instant::now();
    until("the file is released", || place.status("a.duckdb")["state"] == "released");
    std::thread::sleep(Duration::from_millis(500));
    assert!(foreign.open(&place.path("a.duckdb"), false).starts_with("ok"));
    let opened = Instant::now();
    let (_, error) = place.fails(&["sql", "a.duckdb", "from t", "--wait", "300ms"]);
    let held = error["holder"]["held_s"].as_f64().expect("a time");
    assert!(held >= 0.1 && held <= opened.elapsed().as_secs_f64(), "{error}");
    assert!(born.elapsed().as_secs_f64() > held + 1.0, "this test cannot tell the two apart");
    // `dbmux who` means the same by it, of the same process.
    let told = place.run(["who", "a.duckdb", "--json"]);
    let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    let found = told["holders"].as_array().and_then(|all| all.iter().find(|holder| holder["pid"] == foreign.pid()));
    let of = |holder: &Value| humantime::parse_rfc3339(holder["since"].as_str().expect("a time")).expect("a time");
    let (by_who, by_error) = (of(found.expect("it is there")), of(&error["holder"]));
    let apart = by_who.duration_since(by_error).unwrap_or_else(|error| error.duration());
    assert!(apart < Duration::from_millis(50), "{told} {error}");
    // Gone and come back, it is counted anew.
    foreign.close();
    place.sql("a.duckdb", "from t");
    until("the file is released", || place.status("a.duckdb")["state"] == "released");
    assert!(foreign.open(&place.path("a.duckdb"), false).starts_with("ok"));
    let (_, error) = place.fails(&["sql", "a.duckdb", "from t", "--wait", "200ms"]);
    assert!(error["holder"]["held_s"].as_f64().is_some_and(|held| held < 1.0), "{error}");
}

#[test]
fn ahead_are_all_who_go_first_those_who_wait_for_the_file_too() {
    let place = place().with("DBMUX_WORKERS", "2..2");
    place.make("a.duckdb", "create table t (i int)");
    assert!(place.run(["stop", "a.duckdb"]).status.success());
    let mut foreign = Foreign::holding(&place.path("a.duckdb"), false);
    let waiting = || place.status("a.duckdb")["queued"].as_array().map_or(0, Vec::len);
    let mut waiters: Vec<Shell> = Vec::new();
    // Two wait for the file, and those behind them to be admitted.
    for already in 0..4 {
        let (code, error) = place.fails(&["sql", "a.duckdb", "from t", "--wait", "200ms"]);
        assert_eq!((code, &error["ahead"]), (75, &already.into()), "{error}");
        let mut waiter = Shell::start(&place, "a.duckdb", &["--wait", "60s"]);
        waiter.tell("select count(*) as n from t");
        until("it waits", || waiting() == waiters.len() + 1);
        waiters.push(waiter);
    }
    let output = place.run(["sql", "a.duckdb", "from t", "--wait", "2s"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let (live, error) = text.split_once("error: ").expect("an error");
    assert!(live.contains("4 ahead of you") && error.contains("4 ahead of you"), "{text}");
    foreign.close();
    for mut waiter in waiters {
        assert_eq!(waiter.line(), "{\"n\":0}");
    }
}

#[test]
fn statistics_tell_waits_from_runs() {
    let place = place().with("DBMUX_WORKERS", "1..1");
    place.sql("a.duckdb", "select 1");
    let stats = || -> Value {
        let output = place.run(["stats", "a.duckdb", "--json"]);
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let mut running = Shell::start(&place, "a.duckdb", &[]);
    running.tell("select count(*) from range(10000000) a, range(10000000) b");
    until("it runs", || place.status("a.duckdb")["running"].as_array().is_some_and(|running| running.len() == 1));
    let mut waiting = Shell::start(&place, "a.duckdb", &[]);
    waiting.tell("select 7 as i");
    let began = Instant::now();
    until("it waits", || place.status("a.duckdb")["queued"].as_array().is_some_and(|queued| queued.len() == 1));
    std::thread::sleep(Duration::from_millis(300));
    running.signal(rustix::process::Signal::INT);
    assert_eq!(waiting.line(), "{\"i\":7}");
    let waited = began.elapsed();
    let found = stats();
    let micros = |times: &str, which: &str| found["broker"][times][which].as_u64().expect("a time");
    let longest = Duration::from_micros(micros("wait_us", "max"));
    assert!(longest >= Duration::from_millis(250) && longest <= waited + Duration::from_millis(100), "{found}");
    assert!(micros("wait_us", "p50") < 250_000, "{found}");
    assert!(micros("run_us", "max") > 250_000, "{found}");
}
