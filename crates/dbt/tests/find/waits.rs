//! Waiting for dbt's end.

use std::{
    thread,
    time::{Duration, Instant},
};

use dbmux_dbt::{
    DbtError,
    find::{Kind, Waiting, wait_for_dbt_completion},
};
use dbmux_lock::CancelFlag;

use super::support::*;

const LONG: Option<Duration> = Some(Duration::from_secs(50));

#[test]
fn nothing_runs_and_that_is_known_at_once() {
    let scene = Scene::new();
    let root = scene.project("proj");
    let began = Instant::now();
    let mut told = 0;
    let found = wait_for_dbt_completion(&search(&root), LONG, None, &mut |_| told += 1).expect("no wait");
    assert!(found.finds.is_empty() && told == 0);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn the_end_of_two_runs_is_seen_at_once_and_the_deadline_is_kept() {
    let scene = Scene::new();
    let root = scene.project("proj");
    let mut dbt = scene.dbt(&root, &["run", "--select", "long"]);
    until_it_has_the_lock(&root, dbt.pid());
    let began = Instant::now();
    let limit = Duration::from_millis(400);
    let error = wait_for_dbt_completion(&search(&root), Some(limit), None, &mut |_| {}).expect_err("it runs");
    assert!(began.elapsed() >= limit && began.elapsed() < limit * 3, "{:?}", began.elapsed());
    assert_eq!(error.to_string(), "dbt is already running in this project. Please wait for it to complete.");
    let DbtError::StillRunning { finds, waited, .. } = error else { panic!("{error:?}") };
    assert_eq!(finds.iter().map(|find| find.process.id.pid).collect::<Vec<_>>(), [dbt.pid()]);
    assert!(waited >= limit);

    // It waits for a lock that the first one has, which is not its concern.
    let mut other = scene.dbt(&root, &["parse", "--no-partial-parse"]);
    until_it_is(&root, other.pid(), Kind::ParseOnly);
    let mut told = Vec::new();
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let mut tell = |waiting: &Waiting<'_>| told.push(waiting.found.in_the_way().count());
            wait_for_dbt_completion(&search(&root), LONG, None, &mut tell).map(|_| Instant::now())
        });
        until("the second one's end", || other.has_ended());
        assert!(!waits.is_finished(), "the first one still runs");
        dbt.kill();
        let killed = Instant::now();
        let over = waits.join().expect("no panic").expect("its end");
        assert!(over.saturating_duration_since(killed) < Duration::from_millis(100), "{:?}", over - killed);
    });
    assert_eq!(told.first(), Some(&2));
}

#[test]
fn a_wait_can_be_cancelled() {
    let scene = Scene::new();
    let root = scene.project("proj");
    let dbt = scene.dbt(&root, &["run", "--select", "long"]);
    until_it_is(&root, dbt.pid(), Kind::Running);
    let cancel = CancelFlag::new();
    let mut tell = |_: &Waiting<'_>| {
        let cancel = cancel.clone();
        thread::spawn(move || cancel.cancel());
    };
    let outcome = wait_for_dbt_completion(&search(&root), LONG, Some(&cancel), &mut tell);
    assert!(matches!(outcome, Err(DbtError::Cancelled)), "{outcome:?}");
}

#[test]
fn who_holds_without_ending_is_waited_for_by_its_lock() {
    let scene = Scene::new();
    let root = scene.project("proj");
    let code = "
import sys
from dbt.cli.main import dbtRunner
dbtRunner().invoke(['run', '--select', 'short'])
print('done', flush=True)
sys.stdin.readline()
from dbt.adapters.factory import reset_adapters
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
reset_adapters()
DuckDBConnectionManager._ENV.close()
sys.stdin.read()
";
    let script = scene.path("flow.py");
    std::fs::write(&script, code).expect("a file");
    let mut holds = scene.start(&root, &[&dbt_python().display().to_string(), &script.display().to_string()]);
    holds.hear("done");
    until_it_is(&root, holds.pid(), Kind::IdleHolding);
    let mut told = false;
    thread::scope(|scope| {
        let (begun, begins) = std::sync::mpsc::channel();
        let waits = scope.spawn(move || {
            let mut tell = |_: &Waiting<'_>| begun.send(()).expect("it listens");
            wait_for_dbt_completion(&search(&root), LONG, None, &mut tell)
        });
        begins.recv().expect("it waits");
        told = true;
        holds.say("let go");
        let found = waits.join().expect("no panic").expect("its lock goes");
        assert_eq!(found.finds.len(), 1, "it is there, and in nobody's way");
        assert!(!found.finds[0].is_in_the_way());
    });
    assert!(told && !holds.has_ended());
}
