//! Cancelling, as by Ctrl-C.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use dbmux_dbt::warm::{Cancel, Progress};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{ENDLESS, Place};

#[test]
fn it_stops_as_dbt_stops_and_can_be_used_again() {
    let mut place = Place::new();
    place.project.write("models/endless.sql", ENDLESS);
    place.project.write("models/behind.sql", "select * from {{ ref('endless') }}\n");
    let plain = {
        let mut command = place.project.dbt(["run", "--select", "endless+"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("dbt runs");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("START sql table model main.endless")));
        // Its statement runs when the database's log has been begun.
        dbmux_testkit::until("the statement", || in_log(&place, "create  table"));
        let pid = Pid::from_raw(child.id().cast_signed()).expect("a number");
        kill_process(pid, Signal::INT).expect("a signal");
        for _ in lines {}
        child.wait().expect("its end").code()
    };
    std::fs::remove_dir_all(place.project.root().join("logs")).expect("the log");
    let cancel = Cancel::new();
    let (outcome, seen) = place
        .try_dbt(&["run", "--select", "endless+"], &cancel, &[], &mut |progress| {
            if let Progress::Event(event) = progress
                && event.name == "NodeStart"
            {
                cancel.cancel();
            }
        })
        .expect("an outcome");
    assert_eq!(Some(outcome.exit_code), plain, "{seen:?}");
    assert!(seen.stdout.contains("Exited because of keyboard interrupt"), "{}", seen.stdout);
    assert_eq!(outcome.ended, None);
    assert!(!place.is_locked());
    assert!(outcome.results.iter().all(|node| !node.unique_id.ends_with("behind")), "{:?}", outcome.results);
    let pid = place.warm.pid();
    let (outcome, _) = place.dbt(&["run", "--select", "m_1"]);
    assert_eq!(outcome.exit_code, 0);
    assert_eq!(place.warm.pid(), pid, "the same process");
}

#[test]
fn what_was_cancelled_before_never_begins() {
    let mut place = Place::new();
    let cancel = Cancel::new();
    cancel.cancel();
    let (outcome, seen) = place.try_dbt(&["run"], &cancel, &[], &mut |_| {}).expect("an outcome");
    assert_ne!(outcome.exit_code, 0);
    assert!(!seen.stdout.contains("START"), "{}", seen.stdout);
    assert!(!place.project.database().exists() || !place.is_locked());
    assert_eq!(place.dbt(&["run", "--select", "m_1"]).0.exit_code, 0);
}

fn in_log(place: &Place, text: &str) -> bool {
    let log = place.project.root().join("logs/dbt.log");
    std::fs::read_to_string(log).unwrap_or_default().contains(text)
}
