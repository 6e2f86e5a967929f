//! What a worker does: it takes the lock again and again, and dies or stops at a failpoint.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dbmux_lock::{Lock, LockError, LockName, Mode, Priority, Request, Wait, failpoint};
use rustix::process::{Signal, getpid, kill_process};

use crate::Dice;

pub(crate) const LOCK: &str = "test.lock";
pub(crate) const HISTORY: &str = "history";

/// Not a test: the way into a worker. Without a job it does nothing.
#[test]
fn run() {
    let (Ok(job), Some(directory)) = (std::env::var("DBMUX_LOCK_JOB"), std::env::var_os("DBMUX_LOCK_DIRECTORY")) else {
        return;
    };
    let directory = PathBuf::from(directory);
    let seed = std::env::var("DBMUX_LOCK_WORKER_SEED").unwrap().parse().unwrap();
    match job.as_str() {
        "storm" => storm(&directory, seed),
        "fork" => crate::fork::hold_and_fork(&directory),
        "forks" => crate::fork::fork_in_the_middle(&directory),
        "hold" => hold(&directory),
        "stop in the gate" => stop_in_the_gate(&directory),
        other => panic!("no job is called {other}"),
    }
}

/// Holds the lock until it is killed; says so by a file.
fn hold(directory: &Path) {
    let lock = Lock::open(&directory.join(LOCK), LockName::Plain).unwrap();
    let _guard = lock.acquire(&Request::new(Mode::Exclusive).command("the holder")).unwrap();
    std::fs::write(directory.join("held"), b"").unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

/// Stops inside the gate; says so before.
fn stop_in_the_gate(directory: &Path) {
    let held = directory.join("held");
    failpoint::set_hook(move |step| {
        if step == "gate entered" {
            std::fs::write(&held, b"").unwrap();
            kill_process(getpid(), Signal::STOP).unwrap();
            // The kernel may choose another thread to hear of it first: this one must not leave the gate meanwhile.
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    let lock = Lock::open(&directory.join(LOCK), LockName::Plain).unwrap();
    let _guard = lock.acquire(&Request::new(Mode::Exclusive)).unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

static LOG: OnceLock<File> = OnceLock::new();
/// What this worker asks for now, as it stands in the history.
static ASKED: AtomicU64 = AtomicU64::new(0);
static STEPS: AtomicU64 = AtomicU64::new(0);

/// One line, written in one call: lines of several processes do not mix.
fn log(text: &str) {
    let line = format!("{} {text}\n", std::process::id());
    LOG.get().unwrap().write_all(line.as_bytes()).unwrap();
}

fn storm(directory: &Path, seed: u64) {
    LOG.set(OpenOptions::new().append(true).create(true).open(directory.join(HISTORY)).unwrap()).unwrap();
    let mut dice = Dice::new(seed);
    let (dies, stops) = (1 + dice.roll(160), 1 + dice.roll(160));
    failpoint::set_hook(move |step| reached(step, dies, stops));
    let lock = Lock::open(&directory.join(LOCK), LockName::Plain).unwrap();
    loop {
        let (mode, mode_name) = if dice.roll(3) == 0 { (Mode::Shared, 1) } else { (Mode::Exclusive, 2) };
        let priority = [Priority::High, Priority::Normal, Priority::Normal, Priority::Low][dice.roll(4) as usize];
        let wait = match dice.roll(8) {
            0 => Wait::Never,
            1 | 2 => Wait::For(Duration::from_micros(dice.roll(3000))),
            _ => Wait::Forever,
        };
        ASKED.store(mode_name * 10 + priority as u64, Ordering::Relaxed);
        match lock.acquire(&Request::new(mode).priority(priority).wait(wait)) {
            Ok(guard) => {
                std::thread::sleep(Duration::from_micros(dice.roll(150)));
                let died = guard.previous_holder_died().map_or(0, |died| died.pid);
                log(&format!("released {} {died}", guard.fence()));
            }
            Err(LockError::TimedOut { .. } | LockError::GateHeld { .. }) => log("left"),
            Err(error) => {
                log("failed");
                panic!("{error}");
            }
        }
    }
}

/// Writes the history while it is inside the gate, so that its lines stand in the order in which things happened.
fn reached(step: &str, dies: u64, stops: u64) {
    match step {
        "byte taken" => log(&format!("asked {}", ASKED.load(Ordering::Relaxed))),
        "written" => log("written"),
        "granted" => log("granted"),
        _ => {}
    }
    let now = STEPS.fetch_add(1, Ordering::Relaxed) + 1;
    if now == dies {
        log("killed");
        kill_process(getpid(), Signal::KILL).unwrap();
    }
    if now == stops {
        // The test lets it go on after a while.
        kill_process(getpid(), Signal::STOP).unwrap();
    }
}
