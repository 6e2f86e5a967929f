//! A process with a lock, as `rivals/locks.py` is one: told "hold MS", or "wait", on standard input.

#![expect(clippy::disallowed_methods, reason = "a bare flock is what we are measured beside")]

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use dbmux_lock::{Lock, LockName, Mode, Request, Wait};
use rustix::{
    fs::{FlockOperation, flock},
    time::{ClockId, clock_gettime},
};

use crate::{Result, rival::Rival};

/// Which lock, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    kind: Kind,
    path: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Flock,
    Dbmux,
}

/// Starts one.
pub(crate) fn start(kind: &str, path: &Path) -> Result<Rival> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["lock", kind]).arg(path);
    Rival::start(command)
}

pub(crate) fn open(path: &Path) -> Result<File> {
    Ok(OpenOptions::new().create(true).read(true).write(true).truncate(false).open(path)?)
}

/// CLOCK_MONOTONIC, in nanoseconds: the same in all processes.
pub(crate) fn now() -> i128 {
    let time = clock_gettime(ClockId::Monotonic);
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

/// Does what it is told.
pub(crate) fn serve(arguments: &Arguments) -> Result<()> {
    match arguments.kind {
        Kind::Flock => {
            let file = open(&arguments.path)?;
            obey(|| Ok(flock(&file, FlockOperation::LockExclusive)?), |()| Ok(flock(&file, FlockOperation::Unlock)?))
        }
        Kind::Dbmux => {
            let lock = Lock::open(&arguments.path, LockName::Plain)?;
            let request = Request::new(Mode::Exclusive).wait(Wait::Forever);
            obey(
                || Ok(lock.acquire(&request)?),
                |guard| {
                    drop(guard);
                    Ok(())
                },
            )
        }
    }
}

fn obey<G>(acquire: impl Fn() -> Result<G>, release: impl Fn(G) -> Result<()>) -> Result<()> {
    for line in std::io::stdin().lines() {
        let line = line?;
        let guard = acquire()?;
        let mut moment = now();
        if let Some(milliseconds) = line.strip_prefix("hold ") {
            println!("held");
            std::thread::sleep(Duration::from_millis(milliseconds.parse()?));
            moment = now();
        }
        release(guard)?;
        println!("{moment}");
    }
    Ok(())
}
