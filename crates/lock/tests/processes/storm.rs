//! Many workers, some of which die or stop at every possible place.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use dbmux_lock::{Lock, LockError, LockName, Mode, Request, Wait};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Worker, history,
    worker::{HISTORY, LOCK},
};

const WORKERS: usize = 6;
const FOR: Duration = Duration::from_secs(6);

fn seed() -> u64 {
    let now = || std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos().into();
    let seed = std::env::var("DBMUX_LOCK_SEED").map_or_else(|_| now(), |seed| seed.parse().unwrap());
    println!("replay with DBMUX_LOCK_SEED={seed}");
    seed
}

#[test]
fn exclusion_and_order_hold_whoever_dies_or_stops() {
    let seed = seed();
    let directory = tempfile::tempdir().unwrap();
    let (mut started, until) = (0, Instant::now() + FOR);
    let mut start = || {
        started += 1;
        Worker::start("storm", directory.path(), seed.wrapping_add(started))
    };
    let mut workers: Vec<Worker> = (0..WORKERS).map(|_| start()).collect();
    while Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
        for worker in &mut workers {
            if let Some(status) = worker.0.try_wait().unwrap() {
                assert!(
                    !status.success() && status.code().is_none(),
                    "a worker failed by itself: {status}; seed {seed}"
                );
                *worker = start();
            }
            // Whoever has stopped itself goes on.
            kill_process(pid(worker), Signal::CONT).unwrap();
        }
    }
    // Before the end: the kills that follow are not in the history.
    let history = std::fs::read_to_string(directory.path().join(HISTORY)).unwrap();
    drop(workers);
    if let Some(keep) = std::env::var_os("DBMUX_LOCK_KEEP_HISTORY") {
        std::fs::write(keep, &history).unwrap();
    }
    let summary = history::check(&history);
    println!("{summary:?}");
    assert!(summary.grants > 500 && summary.killed > 50 && summary.killed_holders > 5, "{summary:?}; seed {seed}");
    assert!(summary.gave_up > 5 && summary.overtaken > 0, "{summary:?}; seed {seed}");
    everything_is_given_back(directory.path());
}

fn everything_is_given_back(directory: &Path) {
    let lock = Lock::open(&directory.join(LOCK), LockName::Plain).unwrap();
    drop(lock.acquire(&Request::new(Mode::Exclusive).wait(Wait::For(Duration::from_secs(5)))).unwrap());
    let snapshot = lock.snapshot().unwrap();
    assert!(snapshot.holders.is_empty() && snapshot.waiters.is_empty(), "{snapshot:?}");
    assert!(snapshot.statistics.reaped > 0);
    assert!(std::fs::metadata(directory.join(LOCK)).unwrap().len() < 64 << 10);
}

pub(crate) fn pid(worker: &Worker) -> Pid {
    Pid::from_raw(worker.0.id().try_into().unwrap()).unwrap()
}

pub(crate) fn holder(directory: &Path) -> Worker {
    wait_for("hold", directory)
}

pub(crate) fn wait_for(job: &str, directory: &Path) -> Worker {
    let worker = Worker::start(job, directory, 0);
    let until = Instant::now() + Duration::from_secs(10);
    while !directory.join("held").exists() {
        assert!(Instant::now() < until, "it never got the lock");
        std::thread::sleep(Duration::from_millis(2));
    }
    worker
}

#[test]
fn the_next_one_runs_soon_after_a_holder_is_killed() {
    let mut times = Vec::new();
    for _ in 0..30 {
        let directory = tempfile::tempdir().unwrap();
        let worker = holder(directory.path());
        let lock = Lock::open(&directory.path().join(LOCK), LockName::Plain).unwrap();
        let waits = std::thread::spawn(move || {
            let guard = lock.acquire(&Request::new(Mode::Exclusive)).unwrap();
            (Instant::now(), guard.previous_holder_died().map(|died| died.pid))
        });
        let watch = Lock::open(&directory.path().join(LOCK), LockName::Plain).unwrap();
        while watch.snapshot().unwrap().waiters.is_empty() {
            std::thread::yield_now();
        }
        let killed = Instant::now();
        kill_process(pid(&worker), Signal::KILL).unwrap();
        let (granted, died) = waits.join().unwrap();
        assert_eq!(died, Some(worker.0.id()));
        times.push(granted - killed);
    }
    times.sort();
    println!("holder killed, next one running: median {:?}, worst of 30 {:?}", times[15], times[29]);
    // Its p99 is a benchmark's: here others use the machine.
    assert!(times[15] < Duration::from_millis(5) && times[27] < Duration::from_millis(100), "{times:?}");
}

#[test]
fn a_stopped_holder_is_told_and_never_robbed() {
    let directory = tempfile::tempdir().unwrap();
    let worker = holder(directory.path());
    kill_process(pid(&worker), Signal::STOP).unwrap();
    let lock = Lock::open(&directory.path().join(LOCK), LockName::Plain).unwrap();
    let request = Request::new(Mode::Shared).wait(Wait::For(Duration::from_millis(100)));
    match lock.acquire(&request) {
        Err(LockError::TimedOut { holder: Some(holder), ahead, waited, .. }) => {
            assert_eq!((holder.process.pid, ahead), (worker.0.id(), 0));
            assert!(holder.stopped && holder.command == "the holder", "{holder:?}");
            assert!(waited >= Duration::from_millis(100));
        }
        other => panic!("{other:?}"),
    }
    drop(worker);
    let guard = lock.acquire(&request).unwrap();
    assert!(guard.previous_holder_died().is_some());
}
