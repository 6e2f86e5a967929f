//! `dbmux lock` with real processes: exit codes, signals, deadlines, fencing tokens. No broker takes part.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// A place of its own for sockets and locks; dropped, it is gone.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn dbmux(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dbmux"));
        command.args(arguments).current_dir(self.path()).env("DBMUX_RUNTIME_DIR", self.path().join("run"));
        command.env_remove("DBMUX_WAIT").env_remove("DBMUX_PRIORITY").stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.dbmux(arguments).output().unwrap()
    }

    /// Starts one whose child says a line when it runs, and answers with it once that line is there.
    fn start(&self, arguments: &[&str]) -> Started {
        let mut child = self.dbmux(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        Started { child, line: line.trim().to_owned() }
    }
}

/// Killed when the test is over.
struct Started {
    child: Child,
    line: String,
}

impl Started {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn code(&mut self) -> i32 {
        let status = self.child.wait().unwrap();
        status.code().unwrap_or_else(|| panic!("killed by signal {:?}", status.signal()))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Sleeps until its standard input ends or a signal comes; it says its process id first.
const SLEEPER: &str = "echo $$; exec sleep 60";

#[test]
fn the_childs_exit_code_is_passed_on() {
    let place = Place::new();
    for code in [0, 1, 42, 75, 255] {
        let output = place.run(&["lock", "job", "--", "sh", "-c", &format!("exit {code}")]);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
    }
    let output = place.run(&["lock", "job", "--", "sh", "-c", "kill -KILL $$"]);
    assert_eq!(output.status.code(), Some(128 + 9));
}

#[test]
fn what_cannot_be_run_is_126_and_what_is_not_there_127() {
    let place = Place::new();
    let output = place.run(&["lock", "job", "--", "no-such-command-anywhere"]);
    assert_eq!(output.status.code(), Some(127), "{}", text(&output.stderr));
    std::fs::write(place.path().join("plain.txt"), "x").unwrap();
    let output = place.run(&["lock", "job", "--", "./plain.txt"]);
    assert_eq!(output.status.code(), Some(126), "{}", text(&output.stderr));
}

#[test]
fn arguments_and_streams_reach_the_child_as_they_are() {
    let place = Place::new();
    let output = place.run(&["lock", "job", "--", "printf", "%s|", "a b", "--shared", "$HOME"]);
    assert_eq!(text(&output.stdout), "a b|--shared|$HOME|");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn fencing_tokens_grow() {
    let place = Place::new();
    let fence = || -> u64 {
        let output = place.run(&["lock", "job", "--", "sh", "-c", "echo $DBMUX_FENCE"]);
        text(&output.stdout).trim().parse().unwrap()
    };
    let tokens = [fence(), fence(), fence()];
    assert!(tokens[0] > 0 && tokens[0] < tokens[1] && tokens[1] < tokens[2], "{tokens:?}");
}

#[test]
fn signals_reach_the_child_and_its_end_is_told() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129), (Signal::USR1, 138)] {
        let place = Place::new();
        let mut started = place.start(&["lock", "job", "--", "sh", "-c", SLEEPER]);
        let child: i32 = started.line.parse().unwrap();
        started.signal(signal);
        assert_eq!(started.code(), code, "{signal:?}");
        assert!(!Path::new(&format!("/proc/{child}")).exists(), "the child outlived {signal:?}");
    }
}

#[test]
fn a_child_that_handles_a_signal_decides_itself() {
    let place = Place::new();
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let mut started = place.start(&["lock", "job", "--", "sh", "-c", script]);
    started.signal(Signal::TERM);
    assert_eq!(started.code(), 7);
}

#[test]
fn at_the_deadline_it_says_who_has_it_and_exits_75() {
    let place = Place::new();
    let holder = place.start(&["lock", "job", "--", "sh", "-c", SLEEPER]);
    let began = Instant::now();
    let output = place.run(&["lock", "job", "--wait", "300ms", "--", "true"]);
    let (took, error) = (began.elapsed(), text(&output.stderr));
    assert_eq!(output.status.code(), Some(75), "{error}");
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(5), "{took:?}");
    assert!(error.starts_with("error: job is locked\n  held by  sh -c"), "{error}");
    assert!(error.contains(&format!("(pid {},", holder.line)), "{error}");
    assert!(error.contains("waiting  gave up after 3"), "{error}");
    assert!(error.contains("hint     wait longer with --wait 2m"), "{error}");
    let output = place.run(&["lock", "job", "--wait", "0", "--json", "--", "true"]);
    assert_eq!(output.status.code(), Some(75));
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["code"], "DATABASE_LOCKED");
    assert_eq!(error["holding_pid"], holder.line.parse::<u32>().unwrap());
    assert_eq!(error["holder"]["writes"], true);
}

#[test]
fn sharers_share_and_keep_the_others_out() {
    let place = Place::new();
    let _reader = place.start(&["lock", "job", "--shared", "--", "sh", "-c", SLEEPER]);
    assert_eq!(place.run(&["lock", "job", "--shared", "--wait", "0", "--", "true"]).status.code(), Some(0));
    assert_eq!(place.run(&["lock", "job", "--wait", "0", "--", "true"]).status.code(), Some(75));
    assert_eq!(place.run(&["lock", "other", "--wait", "0", "--", "true"]).status.code(), Some(0));
}

/// The command works under the lock: it is protected for as long as it lives, whoever started it.
#[test]
fn a_command_keeps_its_lock_when_dbmux_is_killed() {
    let place = Place::new();
    let mut holder = place.start(&["lock", "job", "--", "sh", "-c", SLEEPER]);
    let child: u32 = holder.line.parse().unwrap();
    holder.signal(Signal::KILL);
    holder.child.wait().unwrap();
    let output = place.run(&["lock", "job", "--wait", "100ms", "--json", "--", "true"]);
    assert_eq!(output.status.code(), Some(75), "{}", text(&output.stderr));
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["holding_pid"], child, "{error}");
    kill_process(Pid::from_raw(child.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    let output = place.run(&["lock", "job", "--wait", "5s", "--", "true"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let note = format!("(pid {child}) died with the lock");
    assert!(text(&output.stderr).contains(&note), "{}", text(&output.stderr));
}

/// What a command leaves in the background is not the command: the lock is free when that has ended.
#[test]
fn what_a_command_leaves_behind_does_not_keep_the_lock() {
    let place = Place::new();
    let output = place.run(&["lock", "job", "--", "sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"]);
    let left: i32 = text(&output.stdout).trim().parse().unwrap();
    let free = place.run(&["lock", "job", "--wait", "0", "--", "true"]);
    kill_process(Pid::from_raw(left).unwrap(), Signal::KILL).unwrap();
    assert_eq!(free.status.code(), Some(0), "{}", text(&free.stderr));
}

/// Three waiters of three priorities, started in the wrong order, run in the right one.
#[test]
fn priorities_decide_who_is_next() {
    let place = Place::new();
    let mut holder = place.start(&["lock", "job", "--", "sh", "-c", SLEEPER]);
    let mut waiters = Vec::new();
    for priority in ["low", "normal", "high"] {
        let script = format!("echo {priority} >> order");
        let arguments = ["lock", "job", "--priority", priority, "--wait", "30s", "--", "sh", "-c", &script];
        let mut waiter = place.dbmux(&arguments).stderr(Stdio::piped()).spawn().unwrap();
        // It says for whom it waits; then it has its place in line.
        let mut line = String::new();
        BufReader::new(waiter.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("waiting for "), "{line}");
        waiters.push(waiter);
    }
    holder.signal(Signal::TERM);
    assert_eq!(holder.code(), 143);
    for mut waiter in waiters {
        assert_eq!(waiter.wait().unwrap().code(), Some(0));
    }
    assert_eq!(std::fs::read_to_string(place.path().join("order")).unwrap(), "high\nnormal\nlow\n");
}

#[test]
fn a_signal_ends_the_wait() {
    let place = Place::new();
    let _holder = place.start(&["lock", "job", "--", "sh", "-c", SLEEPER]);
    let mut waiter = place.dbmux(&["lock", "job", "--", "true"]).stderr(Stdio::piped()).spawn().unwrap();
    // It says for whom it waits; then it is known to wait.
    let mut errors = BufReader::new(waiter.stderr.take().unwrap());
    let mut line = String::new();
    errors.read_line(&mut line).unwrap();
    assert!(line.starts_with("waiting for sh -c"), "{line}");
    kill_process(Pid::from_child(&waiter), Signal::TERM).unwrap();
    assert_eq!(waiter.wait().unwrap().code(), Some(143));
    let mut rest = String::new();
    errors.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn scopes_are_apart() {
    let place = Place::new();
    std::fs::create_dir_all(place.path().join(".git")).unwrap();
    std::fs::create_dir_all(place.path().join("deep/down")).unwrap();
    let _holder = place.start(&["lock", "job", "--scope", "project", "--", "sh", "-c", SLEEPER]);
    assert_eq!(place.run(&["lock", "job", "--wait", "0", "--", "true"]).status.code(), Some(0));
    let mut below = place.dbmux(&["lock", "job", "--scope", "project", "--wait", "0", "--", "true"]);
    assert_eq!(below.current_dir(place.path().join("deep/down")).status().unwrap().code(), Some(75));
    let _other = place.start(&["lock", "./sales.duckdb", "--", "sh", "-c", SLEEPER]);
    assert_eq!(place.run(&["lock", "./sales.duckdb", "--wait", "0", "--", "true"]).status.code(), Some(75));
    assert!(place.path().join("sales.duckdb.dbmux").exists());
    assert!(!place.path().join("sales.duckdb").exists(), "a lock makes no database");
}

#[test]
fn names_that_cannot_be_files_are_usage() {
    let place = Place::new();
    let output = place.run(&["lock", "a b", "--scope", "global", "--", "true"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert_eq!(place.run(&["lock"]).status.code(), Some(2));
}

/// What is there does not decide which lock a word means.
#[test]
fn a_file_that_appears_does_not_make_another_lock() {
    let place = Place::new();
    for name in ["new.duckdb", "job"] {
        let script = format!("touch {name}; {SLEEPER}");
        let holder = place.start(&["lock", name, "--", "sh", "-c", &script]);
        assert!(place.path().join(name).exists());
        let output = place.run(&["lock", name, "--wait", "0", "--json", "--", "true"]);
        assert_eq!(output.status.code(), Some(75), "{name}: {}", text(&output.stderr));
        let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(error["holding_pid"], holder.line.parse::<u32>().unwrap());
    }
}

#[test]
fn without_a_command_it_shows_who_has_it_and_who_waits() {
    let place = Place::new();
    let shown = || text(&place.run(&["lock", "job"]).stdout).to_owned();
    assert_eq!(shown(), "job is free: nobody has ever had it\n");
    assert!(!place.path().join("run/locks").exists(), "a look makes nothing");
    let holder = place.start(&["lock", "job", "--", "sh", "-c", SLEEPER]);
    let mut waiter = place.dbmux(&["lock", "job", "--", "echo", "waited"]).stderr(Stdio::piped()).spawn().unwrap();
    BufReader::new(waiter.stderr.take().unwrap()).read_line(&mut String::new()).unwrap();
    let report = shown();
    let (held, waits) = report.split_once("waiting, the next one first\n").unwrap();
    assert!(held.starts_with("job is held by\n") && held.contains(&format!("(pid {},", holder.line)), "{report}");
    assert!(waits.contains("echo waited") && waits.contains("granted 1 time, 0 after"), "{report}");
    let json: serde_json::Value = serde_json::from_slice(&place.run(&["lock", "job", "--json"]).stdout).unwrap();
    assert_eq!(json["holders"][0]["pid"], holder.line.parse::<u32>().unwrap());
    assert_eq!(
        (&json["waiting"][0]["command"], &json["statistics"]["acquisitions"]),
        (&"echo waited".into(), &1.into())
    );
    waiter.kill().unwrap();
    waiter.wait().unwrap();
}

/// The outer one waits for the inner one, which would wait for the outer one.
#[test]
fn a_lock_inside_itself_is_refused_at_once() {
    let place = Place::new();
    let dbmux = env!("CARGO_BIN_EXE_dbmux");
    let began = Instant::now();
    let output = place.run(&["lock", "job", "--", "sh", "-c", &format!("{dbmux} lock job -- echo inside; exit $?")]);
    assert!(began.elapsed() < Duration::from_secs(10));
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("runs inside of: waiting cannot help") && output.stdout.is_empty(), "{error}");
    let shared = format!("{dbmux} lock job --shared -- echo inside");
    let output = place.run(&["lock", "job", "--shared", "--", "sh", "-c", &shared]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "inside\n".into()));
}
