//! Kills: of the bridge, and of whoever had started it.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use dbmux_dbt::{
    DbtError,
    warm::{Cancel, Progress, Restart},
};
use dbmux_testkit::until;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::{ENDLESS, Place, is_locked};

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).expect("a number"), Signal::KILL).expect("a signal");
}

#[test]
fn a_bridge_that_is_killed_while_idle_is_replaced_without_a_word() {
    let mut place = Place::new();
    assert_eq!(place.dbt(&["run", "--select", "m_1"]).0.exit_code, 0);
    let first = place.warm.pid().expect("it runs");
    kill(first);
    let (outcome, seen) = place.dbt(&["run", "--select", "m_2"]);
    assert_eq!(outcome.exit_code, 0);
    assert_eq!(seen.restart, Some(Restart::Idle));
    assert_ne!(place.warm.pid(), Some(first));
}

#[test]
fn a_bridge_that_is_killed_in_the_middle_is_told_of_and_leaves_nothing() {
    let mut place = Place::new();
    place.project.write("models/endless.sql", ENDLESS);
    // Its number is known while it runs: it is started first.
    place.warm.prepare(&place.setting).expect("it starts");
    let pid = place.warm.pid().expect("it runs");
    let error = place.try_dbt(&["run", "--select", "endless"], &Cancel::new(), &[], &mut |progress| {
        if let Progress::Event(event) = progress
            && event.name == "NodeStart"
        {
            kill(pid);
        }
    });
    let error = error.expect_err("it was lost");
    assert!(matches!(&error, DbtError::Lost { reason } if reason.contains("signal: 9")), "{error}");
    assert!(!place.is_locked());
    let (outcome, seen) = place.dbt(&["run", "--select", "m_1"]);
    assert_eq!(outcome.exit_code, 0);
    assert!(matches!(seen.restart, Some(Restart::Lost(_))), "{:?}", seen.restart);
}

#[test]
fn without_its_host_a_bridge_stops_what_runs_and_ends() {
    let project = dbmux_testkit::DbtProject::new();
    project.write("models/endless.sql", ENDLESS);
    // The host is this test's program, once more, told to run only the part below.
    let mut host = Command::new(std::env::current_exe().expect("this program"));
    host.args(["--exact", "lost::the_host_of_the_test_above", "--ignored", "--nocapture"]);
    host.env("DBMUX_TEST_PROJECT", project.root()).env("DBMUX_TEST_DB", project.database());
    let mut host = host.stdout(Stdio::piped()).spawn().expect("a host");
    let lines = BufReader::new(host.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let told = lines.filter_map(|line| line.split("bridge ").nth(1).and_then(|pid| pid.trim().parse().ok()));
    let pid: i32 = told.take(1).next().expect("the bridge's number");
    until("the database is open", || is_locked(&project.database()));
    host.kill().expect("a signal");
    host.wait().expect("its end");
    until("the bridge's end", || test_kill_process(Pid::from_raw(pid).expect("a number")).is_err());
    assert!(!is_locked(&project.database()));
}

#[test]
#[ignore = "it is started by the test above, and killed"]
fn the_host_of_the_test_above() {
    let Some(root) = std::env::var_os("DBMUX_TEST_PROJECT") else { return };
    let mut place = Place::at(root.into());
    place.warm.prepare(&place.setting).expect("it starts");
    println!("bridge {}", place.warm.pid().expect("it runs"));
    place.dbt(&["run", "--select", "endless"]);
    unreachable!("it works until it is interrupted");
}
