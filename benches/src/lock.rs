//! The lock, beside a bare `flock`.

#![expect(clippy::disallowed_methods, reason = "a bare flock is what we are measured beside")]

use std::{
    error::Error,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use dbmux_lock::{Lock, LockName, Mode, Request, Wait};
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use crate::figures::Times;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long the lock is held before each hand-off.
const HOLD: Duration = Duration::from_millis(100);
const HAND_OFFS: usize = 30;
const KILLS: usize = 100;

fn open(path: &Path) -> Result<File> {
    Ok(OpenOptions::new().create(true).read(true).write(true).truncate(false).open(path)?)
}

/// In turns, so that both see the same machine.
pub(crate) fn alone() -> Result<Value> {
    let directory = tempfile::tempdir()?;
    let file = open(&directory.path().join("flock"))?;
    let lock = Lock::open(&directory.path().join("lock"), LockName::Plain)?;
    let request = Request::new(Mode::Exclusive);
    let (mut bare, mut ours) = (Times::new(), Times::new());
    for _ in 0..200 {
        let began = Instant::now();
        for _ in 0..100 {
            flock(&file, FlockOperation::LockExclusive)?;
            flock(&file, FlockOperation::Unlock)?;
        }
        bare.add(began.elapsed() / 100);
        let began = Instant::now();
        for _ in 0..100 {
            drop(lock.acquire(&request)?);
        }
        ours.add(began.elapsed() / 100);
    }
    Ok(json!({ "flock": bare.json(), "dbmux": ours.json() }))
}

/// A process of ours that does one thing, and says when.
struct Worker {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Worker {
    fn start(what: &str, path: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("worker").arg(what).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("no output")?);
        Ok(Self { child, lines })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    fn go(&mut self) -> Result<()> {
        Ok(self.child.stdin.as_mut().ok_or("no input")?.write_all(b"\n")?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn now() -> Result<u128> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos())
}

/// Holds or waits, as told; a line each time it has the lock, with the moment in nanoseconds.
pub(crate) fn worker(what: &str, path: &Path) -> Result<()> {
    let mut told = std::io::stdin().lines();
    let request = Request::new(Mode::Exclusive).wait(Wait::Forever);
    match what {
        "flock" => {
            let file = open(path)?;
            while told.next().is_some() {
                flock(&file, FlockOperation::LockExclusive)?;
                println!("{}", now()?);
                flock(&file, FlockOperation::Unlock)?;
            }
        }
        _ => {
            let lock = Lock::open(path, LockName::Plain)?;
            while told.next().is_some() {
                let guard = lock.acquire(&request)?;
                println!("{}", now()?);
                if what == "hold" {
                    std::thread::sleep(Duration::from_secs(600));
                }
                drop(guard);
            }
        }
    }
    Ok(())
}

pub(crate) fn hand_off() -> Result<Value> {
    let directory = tempfile::tempdir()?;
    let (bare_path, our_path) = (directory.path().join("flock"), directory.path().join("lock"));
    let file = open(&bare_path)?;
    let lock = Lock::open(&our_path, LockName::Plain)?;
    let (mut bare_waiter, mut our_waiter) = (Worker::start("flock", &bare_path)?, Worker::start("lock", &our_path)?);
    let (mut bare, mut ours) = (Times::new(), Times::new());
    for _ in 0..HAND_OFFS {
        flock(&file, FlockOperation::LockExclusive)?;
        bare_waiter.go()?;
        std::thread::sleep(HOLD);
        let released = now()?;
        flock(&file, FlockOperation::Unlock)?;
        bare.add(since(released, &bare_waiter.line()?)?);

        let guard = lock.acquire(&Request::new(Mode::Exclusive))?;
        our_waiter.go()?;
        std::thread::sleep(HOLD);
        let released = now()?;
        drop(guard);
        ours.add(since(released, &our_waiter.line()?)?);
    }
    Ok(json!({ "flock": bare.json(), "dbmux": ours.json() }))
}

pub(crate) fn killed() -> Result<Value> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("lock");
    let lock = Lock::open(&path, LockName::Plain)?;
    let mut times = Times::new();
    for _ in 0..KILLS {
        let mut holder = Worker::start("hold", &path)?;
        holder.go()?;
        holder.line()?;
        let mut waiter = Worker::start("lock", &path)?;
        waiter.go()?;
        while lock.waiting()? == 0 {
            std::thread::yield_now();
        }
        let killed = now()?;
        holder.child.kill()?;
        times.add(since(killed, &waiter.line()?)?);
    }
    Ok(json!({ "dbmux": times.json() }))
}

fn since(from: u128, line: &str) -> Result<Duration> {
    Ok(Duration::from_nanos(u64::try_from(line.parse::<u128>()?.saturating_sub(from))?))
}
