//! What a person sees on a terminal: the line while one waits, a statement's progress, the prompt, Ctrl-C.

use std::time::{Duration, Instant};

use dbmux_testkit::{Foreign, Place, Terminal, until};

/// Long enough that nobody sees its end here.
const ENDLESS: &str = "select count(*) from range(100000) a, range(100000000) b where a.range + b.range = 7";

const INTERRUPT: &str = "\x03";

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

fn start(place: &Place, arguments: &[&str]) -> Terminal {
    Terminal::start(place.dbmux(arguments))
}

/// Opens the file in a foreign process, as soon as the broker has let go of it.
fn hold(place: &Place, database: &str) -> Foreign {
    let mut foreign = Foreign::start();
    until("the file is let go", || foreign.open(&place.path(database), false).starts_with("ok"));
    foreign
}

#[test]
fn a_wait_is_alive() {
    let place = place();
    place.make("a.duckdb", "create table t as select 42 as i");
    let mut foreign = hold(&place, "a.duckdb");
    let began = Instant::now();
    let first = start(&place, &["sql", "a.duckdb", "select i from t"]);
    let pid = format!("(pid {},", foreign.pid());
    let line = first.wait_for("for whom it waits", |screen| screen.contains(" · for ") && screen.contains(&pid));
    assert!(began.elapsed() >= Duration::from_millis(500), "a short wait is not worth a line");
    assert!(line.contains("python"), "{line}");
    first.wait_for("the time goes on", |screen| screen.contains("waiting 1 s · for"));
    first.wait_for("the time goes on", |screen| screen.contains("waiting 2 s · for"));
    foreign.kill();
    let screen = first.wait_for("the result", |screen| screen.contains("│ 42 │"));
    assert!(!screen.contains("waiting"), "the line stayed:\n{screen}");
    assert!(first.end().0.success());
}

#[test]
fn the_place_in_line_is_told() {
    let place = place();
    // One statement at a time: the others stand in line.
    assert!(
        place.dbmux(["sql", "a.duckdb", "select 1"]).env("DBMUX_SERIAL", "true").status().expect("a run").success()
    );
    let in_line = |wanted: usize| {
        until("they are in line", || {
            let status = place.run(["status", "a.duckdb", "--json"]);
            let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
            ["running", "queued"].map(|list| status[list].as_array().map_or(0, Vec::len)).iter().sum::<usize>()
                == wanted
        });
    };
    let mut first = start(&place, &["sql", "a.duckdb", ENDLESS]);
    in_line(1);
    let second = start(&place, &["sql", "a.duckdb", "select 'second'"]);
    in_line(2);
    let third = start(&place, &["sql", "a.duckdb", "select 'third'"]);
    second.wait_for("its place", |screen| screen.contains("waiting") && screen.contains("· for a session of"));
    third.wait_for("its place", |screen| {
        screen.contains("waiting") && screen.contains("· 1 ahead of you · for a session of")
    });
    first.type_(INTERRUPT);
    for waiter in [second, third] {
        let (status, shown) = waiter.end();
        assert!(status.success(), "{shown}");
    }
}

#[test]
fn a_long_statement_shows_its_progress_and_can_be_interrupted() {
    let place = place();
    place.sql("a.duckdb", "select 1");
    let mut terminal = start(&place, &["sql", "a.duckdb", ENDLESS]);
    terminal.wait_for("its progress", |screen| screen.contains(" % · 2 s"));
    let interrupted = Instant::now();
    terminal.type_(INTERRUPT);
    let (status, shown) = terminal.end();
    assert_eq!(status.code(), Some(130), "{shown}");
    assert!(interrupted.elapsed() < Duration::from_secs(2), "it took {:?}", interrupted.elapsed());
    assert_eq!(place.sql("a.duckdb", "select 42"), "42", "the broker serves the next one");
}

#[test]
fn a_program_that_wants_json_sees_no_line() {
    let place = place();
    place.make("a.duckdb", "create table t as select 42 as i");
    let foreign = hold(&place, "a.duckdb");
    let (status, shown) = start(&place, &["sql", "a.duckdb", "select i from t", "--json", "--wait", "1500ms"]).end();
    assert_eq!(status.code(), Some(75));
    let error: serde_json::Value = serde_json::from_str(shown.trim()).unwrap_or_else(|_| panic!("not JSON: {shown:?}"));
    assert_eq!(error["holding_pid"], foreign.pid());
    let locked = start(&place, &["lock", "a.duckdb", "--", "sleep", "60"]);
    until("it is locked", || !place.run(["lock", "a.duckdb", "--wait", "0", "--", "true"]).status.success());
    let (status, shown) = start(&place, &["lock", "a.duckdb", "--json", "--wait", "1s", "--", "true"]).end();
    assert_eq!(status.code(), Some(75));
    serde_json::from_str::<serde_json::Value>(shown.trim()).unwrap_or_else(|_| panic!("not JSON: {shown:?}"));
    drop(locked);
}

#[test]
fn the_prompt_takes_lines_remembers_them_and_survives_an_interrupt() {
    let place = place();
    let mut prompt = start(&place, &["sql", "a.duckdb"]);
    prompt.wait_for("the prompt", |screen| screen.ends_with("dbmux>") || screen.contains("dbmux> "));
    prompt.type_("select 40\r");
    prompt.wait_for("the second line", |screen| screen.contains("...>"));
    prompt.type_("+ 2 as answer;\r");
    prompt.wait_for("the answer", |screen| screen.contains("answer") && screen.contains("42") && ready(screen));
    prompt.type_(&format!("{ENDLESS};\r"));
    prompt.wait_for("its progress", |screen| screen.contains(" % · "));
    prompt.type_(INTERRUPT);
    prompt.wait_for("the prompt again", |screen| screen.contains("cancelled") && ready(screen));
    prompt.type_("selec nonsense;\r");
    prompt.wait_for("the error", |screen| screen.contains("syntax error") && ready(screen));
    prompt.type_("create temp table mine as select 7 as lucky;\r");
    prompt.wait_for("done", |screen| screen.contains("1 row changed") && ready(screen));
    prompt.type_("from mine;\r");
    prompt
        .wait_for("the same session", |screen| screen.contains("lucky") && screen.contains("1 row\n") && ready(screen));
    prompt.type_("select 'half a");
    prompt.wait_for("it", |screen| screen.ends_with("half a"));
    prompt.type_(INTERRUPT);
    prompt.wait_for("an empty line", ready);
    // Whoever types ahead is not lost.
    prompt.type_("select 'one' as a;\rselect 'two' as a;\r");
    prompt.wait_for("both", |screen| screen.contains("│ one │") && screen.contains("│ two │") && ready(screen));
    prompt.type_(".quit\r");
    assert!(prompt.end().0.success());
    for (path, mode) in [(".local/state/dbmux", 0o700), (".local/state/dbmux/history", 0o600)] {
        let found = std::fs::metadata(place.path(path)).expect("it is there").permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&found) & 0o777, mode, "{path}: SQL may hold secrets");
    }
    // The next prompt remembers.
    let mut prompt = start(&place, &["sql", "a.duckdb"]);
    prompt.wait_for("the prompt", ready);
    prompt.type_("\x1b[A\x1b[A");
    prompt.wait_for("what was typed", |screen| screen.ends_with("dbmux> select 'two' as a;"));
    prompt.type_(INTERRUPT);
    prompt.wait_for("an empty line", ready);
    prompt.type_("\x04");
    assert!(prompt.end().0.success());
}

/// The prompt waits for a line.
fn ready(screen: &str) -> bool {
    screen.trim_end().lines().last().is_some_and(|line| line.trim_end() == "dbmux>")
}
