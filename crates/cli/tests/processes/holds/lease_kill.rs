//! Whatever is killed or stopped while a file is handed over: nobody attaches under whoever works on it, nothing that was
//! acknowledged is lost, nothing is left behind, and the next command works.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use dbmux_testkit::{Foreign, Place, Shell, Terminal, children_of, python, until};
use rustix::process::{Pid, Signal, kill_process};

fn place() -> Place {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    place.make("a.duckdb", "create table t (i int)");
    place
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("it is there");
}

fn is_there(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// A statement waits, and names this process.
#[track_caller]
fn keeps_others_out(place: &Place, pid: u32) -> serde_json::Value {
    let (code, error) = place.fails(&["sql", "a.duckdb", "insert into t values (-1)", "--wait", "300ms"]);
    assert_eq!((code, &error["code"]), (75, &"DATABASE_LOCKED".into()), "{error}");
    assert_eq!((&error["holding_pid"], &error["holder"]["kind"]), (&pid.into(), &"lease".into()), "{error}");
    error
}

/// The file is everybody's again, it has these rows, and nothing lies beside it that was not there before.
#[track_caller]
fn all_is_well(place: &Place, rows: &str) {
    assert_eq!(place.sql("a.duckdb", "from t order by i"), rows);
    assert!(place.run(["run", "a.duckdb", "--wait", "10s", "--", "true"]).status.success());
    assert_eq!(
        place.sql("a.duckdb", "select count(*) from t").parse::<usize>().expect("a number"),
        rows.lines().count()
    );
    until("the file is let go", || place.status("a.duckdb")["state"] == "released");
    let mut left: Vec<_> =
        std::fs::read_dir(place.path("")).expect("a directory").flatten().map(|e| e.file_name()).collect();
    left.retain(|name| !["run", "a.duckdb", "a.duckdb.dbmux"].iter().any(|ours| name == ours));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn dbmux_run_is_killed_and_its_command_keeps_the_file() {
    let place = place();
    let mut tool = Foreign::leased(&place, &["a.duckdb"]);
    let pid = tool.own_pid();
    tool.open(&place.path("a.duckdb"), false);
    tool.sql("insert into t values (1)");
    tool.kill();
    keeps_others_out(&place, pid);
    tool.close();
    // Between two of its openings: nobody has the file, and it is not to be had.
    keeps_others_out(&place, pid);
    assert!(tool.open(&place.path("a.duckdb"), false).starts_with("ok"));
    assert_eq!(tool.sql("insert into t values (2)"), "ok [(1,)]");
    let mut writer = Shell::start(&place, "a.duckdb", &[]);
    writer.tell("insert into t values (3)");
    until("it waits", || place.status("a.duckdb")["queued"].as_array().is_some_and(|queued| queued.len() == 1));
    // It commits, and dies with what it has not written to the file proper.
    signal(pid, Signal::KILL);
    writer.done("insert into t values (4)");
    all_is_well(&place, "1\n2\n3\n4");
}

#[test]
fn the_command_is_killed() {
    let place = place();
    let mut tool = Foreign::leased(&place, &["a.duckdb"]);
    tool.open(&place.path("a.duckdb"), false);
    tool.sql("insert into t values (1)");
    tool.sql("begin");
    tool.sql("insert into t values (2)");
    signal(tool.own_pid(), Signal::KILL);
    assert_eq!(tool.end().code(), Some(128 + 9));
    all_is_well(&place, "1");
}

#[test]
fn the_broker_is_killed_and_the_next_one_stays_out() {
    let place = place();
    let mut tool = Foreign::leased(&place, &["a.duckdb"]);
    let pid = tool.own_pid();
    let mut writer = Shell::start(&place, "a.duckdb", &[]);
    writer.tell("insert into t values (1)");
    until("it waits", || place.status("a.duckdb")["queued"].as_array().is_some_and(|queued| queued.len() == 1));
    assert_eq!(place.kill_brokers(), 1);
    let (_, lost) = writer.end();
    assert!(lost.contains("OUTCOME_UNKNOWN"), "{lost}");
    // Between two openings, with a broker that knows nothing.
    keeps_others_out(&place, pid);
    assert!(tool.open(&place.path("a.duckdb"), false).starts_with("ok"));
    tool.sql("insert into t values (2)");
    keeps_others_out(&place, pid);
    assert_eq!(place.kill_brokers(), 1);
    keeps_others_out(&place, pid);
    tool.close();
    assert!(tool.end().success());
    all_is_well(&place, "2");
}

/// All at once, in the middle of its work.
#[test]
fn everything_but_the_command_is_killed() {
    let place = place();
    let mut tool = Foreign::leased(&place, &["a.duckdb"]);
    let pid = tool.own_pid();
    tool.open(&place.path("a.duckdb"), false);
    tool.kill();
    place.kill_brokers();
    keeps_others_out(&place, pid);
    tool.sql("insert into t values (1)");
    tool.close();
    keeps_others_out(&place, pid);
    tool.end();
    all_is_well(&place, "1");
}

/// It was left without the files that keep the lock: Python's `subprocess` closes what it does not know, and so do others.
#[test]
fn a_command_that_has_closed_the_lock_keeps_the_file_all_the_same() {
    let place = place();
    let mut tool = Foreign::leased(&place, &["a.duckdb"]);
    let pid = tool.own_pid();
    tool.tell("__import__('os').closerange(3, 200)");
    tool.kill();
    // A broker, one after it, and another lease: each learns of it from the one before.
    keeps_others_out(&place, pid);
    place.kill_brokers();
    keeps_others_out(&place, pid);
    let (code, error) = place.fails(&["run", "a.duckdb", "--wait", "300ms", "--json", "--", "true"]);
    assert_eq!((code, &error["holding_pid"]), (75, &pid.into()), "{error}");
    assert!(place.run(["stop", "a.duckdb"]).status.success());
    let (code, error) = place.fails(&["run", "a.duckdb", "--wait", "300ms", "--json", "--", "true"]);
    assert_eq!((code, &error["holding_pid"]), (75, &pid.into()), "{error}");
    keeps_others_out(&place, pid);
    assert!(tool.open(&place.path("a.duckdb"), false).starts_with("ok"));
    tool.sql("insert into t values (1)");
    tool.close();
    let mut writer = Shell::start(&place, "a.duckdb", &[]);
    writer.tell("insert into t values (2)");
    until("it waits", || place.status("a.duckdb")["queued"].as_array().is_some_and(|queued| queued.len() == 1));
    tool.end();
    writer.done("insert into t values (3)");
    all_is_well(&place, "1\n2\n3");
}

/// Starts one that waits, and answers when it has said so.
fn waiting(place: &Place) -> Child {
    let mut waiter =
        place.dbmux(["run", "a.duckdb", "--", "touch", "ran"]).stderr(Stdio::piped()).spawn().expect("a start");
    let mut line = String::new();
    BufReader::new(waiter.stderr.take().expect("its errors")).read_line(&mut line).expect("a line");
    assert!(line.starts_with("waiting for a.duckdb: "), "{line}");
    waiter
}

#[test]
fn one_who_waits_is_killed_and_the_others_go_on() {
    let place = place();
    // While the file is drained for him …
    let mut keeper = Shell::start(&place, "a.duckdb", &[]);
    keeper.done("begin; insert into t values (1)");
    for ended_by in [Signal::KILL, Signal::TERM, Signal::INT] {
        let mut waiter = waiting(&place);
        let write = ["sql", "a.duckdb", "insert into t values (7)", "--wait", "0"];
        assert!(!place.run(write).status.success(), "somebody entered");
        signal(waiter.id(), ended_by);
        let status = waiter.wait().expect("its end");
        let told = if ended_by == Signal::KILL { None } else { Some(128 + ended_by.as_raw()) };
        assert_eq!(status.code(), told, "{status:?}");
        let began = Instant::now();
        assert_eq!(place.sql("a.duckdb", "select 42"), "42");
        assert!(began.elapsed() < Duration::from_millis(1500), "the door stayed shut for {:?}", began.elapsed());
    }
    keeper.done("commit");
    drop(keeper);
    // … and in line behind another.
    let tool = Foreign::leased(&place, &["a.duckdb"]);
    let mut waiter = waiting(&place);
    waiter.kill().expect("a kill");
    assert_eq!(waiter.wait().expect("its end").signal(), Some(9));
    tool.end();
    all_is_well(&place, "1");
}

#[test]
fn what_a_command_leaves_behind_does_not_keep_the_file() {
    let place = place();
    let output = place.run(["run", "a.duckdb", "--", "sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"]);
    let left: u32 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a process id");
    all_is_well(&place, "");
    assert!(is_there(left));
    signal(left, Signal::KILL);
    // But where nobody was left to give it back, it may still be at work: it keeps the file, and can be ended.
    let script = "sleep 60 >/dev/null 2>&1 & echo $!; wait";
    let run = place.dbmux(["run", "a.duckdb", "--", "sh", "-c", script]).stdout(Stdio::piped()).spawn();
    let mut run = run.expect("it starts");
    let mut line = String::new();
    BufReader::new(run.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    let (left, shell) = (line.trim().parse().expect("a process id"), child_of(run.id()));
    run.kill().expect("a kill");
    run.wait().expect("its end");
    signal(shell, Signal::KILL);
    until("the shell's end", || !is_there(shell));
    let read = ["sql", "a.duckdb", "select 1", "--wait", "300ms", "--reads", "wait"];
    assert!(!place.run(read).status.success());
    signal(left, Signal::KILL);
    all_is_well(&place, "");
}

fn child_of(pid: u32) -> u32 {
    let children = children_of(pid);
    assert_eq!(children.len(), 1, "{children:?}");
    children[0]
}

#[test]
fn a_broker_that_the_command_starts_does_not_keep_the_file() {
    let place = place();
    let script =
        format!("{} sql b.duckdb 'select 1' >/dev/null; echo started; exec sleep 60", place.binary().display());
    let run = place.dbmux(["run", "a.duckdb", "--", "sh", "-c", &script]).stdout(Stdio::piped()).spawn();
    let mut run = run.expect("it starts");
    BufReader::new(run.stdout.take().expect("its output")).read_line(&mut String::new()).expect("a line");
    let sleeper = child_of(run.id());
    run.kill().expect("a kill");
    run.wait().expect("its end");
    keeps_others_out(&place, sleeper);
    signal(sleeper, Signal::KILL);
    assert_eq!(place.sql("a.duckdb", "select 42"), "42");
    assert_eq!(place.brokers().len(), 2);
}

#[test]
fn a_stopped_command_is_shown_as_stopped_and_not_robbed() {
    let place = place();
    let mut tool = Foreign::leased(&place, &["a.duckdb"]);
    let pid = tool.own_pid();
    signal(pid, Signal::STOP);
    let error = keeps_others_out(&place, pid);
    assert_eq!(error["holder"]["stopped"], true, "{error}");
    let (_, error) = place.fails(&["run", "a.duckdb", "--wait", "200ms", "--json", "--", "true"]);
    assert!(error["suggestion"].as_str().is_some_and(|hint| hint.contains(&format!("kill -CONT {pid}"))), "{error}");
    let who = place.run(["who", "a.duckdb"]);
    assert!(String::from_utf8_lossy(&who.stdout).contains("stopped"), "{who:?}");
    signal(pid, Signal::CONT);
    assert!(tool.open(&place.path("a.duckdb"), false).starts_with("ok"));
    tool.sql("insert into t values (1)");
    assert!(tool.end().success());
    all_is_well(&place, "1");
}

/// A broker that is stopped with the file in its hands does not answer, and is named.
#[test]
fn a_stopped_broker_is_named() {
    let place = place();
    let stopped = place.stop_broker();
    let (code, error) = place.fails(&["run", "a.duckdb", "--wait", "500ms", "--json", "--", "true"]);
    assert_eq!((code, &error["holding_pid"]), (75, &stopped.pid().into()), "{error}");
    assert_eq!((&error["holder"]["kind"], &error["holder"]["stopped"]), (&"broker".into(), &true.into()), "{error}");
    drop(stopped);
    // One that does not have the file is in nobody's way.
    until("the file is let go", || place.status("a.duckdb")["state"] == "released");
    let stopped = place.stop_broker();
    for reads in ["wait", "snapshot"] {
        let run = ["run", "a.duckdb", "--reads", reads, "--wait", "1s", "--", "true"];
        assert!(place.run(run).status.success(), "{reads}");
    }
    drop(stopped);
    all_is_well(&place, "");
}

#[test]
fn ctrl_c_reaches_the_command_and_it_decides() {
    let place = place();
    let python = python();
    let script = "import time\ntry:\n print('here', flush=True); time.sleep(60)\nexcept KeyboardInterrupt:\n print('bye'); exit(7)";
    let mut terminal =
        Terminal::start(place.dbmux(["run", "a.duckdb", "--", python.to_str().expect("text"), "-c", script]));
    terminal.wait_for("it runs", |screen| screen.contains("here"));
    terminal.type_("\x03");
    let (status, said) = terminal.end();
    assert_eq!(status.code(), Some(7), "{said}");
    assert_eq!(said.matches("bye").count(), 1, "{said}");
    all_is_well(&place, "");
}

#[test]
fn ctrl_c_ends_the_wait() {
    let place = place();
    let tool = Foreign::leased(&place, &["a.duckdb"]);
    let mut terminal = Terminal::start(place.dbmux(["run", "a.duckdb", "--", "touch", "ran"]));
    terminal.wait_for("for whom it waits", |screen| screen.contains("waiting") && screen.contains("python"));
    terminal.type_("\x03");
    assert_eq!(terminal.end().0.code(), Some(130));
    tool.end();
    all_is_well(&place, "");
}
