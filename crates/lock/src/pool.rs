//! What the acquisitions of one [`Lock`](crate::Lock) share in this process: open files that wait to be used again.
//!
//! A file is one acquisition's at a time. Nobody waits for the pool: it may have been another thread's when this process
//! was forked; then a file is opened, and closed again.

use std::{
    path::PathBuf,
    sync::Mutex,
    time::{Duration, Instant},
};

use dbmux_os::range_lock::Outcome;

use crate::{
    LockError, LockName,
    book::Book,
    failpoint,
    ground::{Ground, OpenTo},
    sidecar::names,
};

/// How long the gate may be held, for one who would wait for ever, before it is said that somebody is stuck in it. It is
/// held for microseconds.
const GATE_PATIENCE: Duration = Duration::from_secs(10);
/// How far behind the deadline the gate is waited for: it is held for microseconds, and one who never waits passes it too.
const GATE_GRACE: Duration = Duration::from_millis(25);
/// Whoever keeps the gate for so long is stuck in it, stopped or not.
const STUCK: Duration = Duration::from_secs(1);
/// Files that are kept for the next acquisition.
const KEPT: usize = 8;

/// What the acquisitions of one lock share.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) path: PathBuf,
    pub(crate) name: LockName,
    kept: Mutex<Vec<Ground>>,
}

impl Pool {
    pub(crate) fn new(path: PathBuf, name: LockName) -> Self {
        Self { path, name, kept: Mutex::default() }
    }

    fn kept(&self) -> Option<Ground> {
        self.kept.try_lock().ok()?.pop().filter(Ground::is_ours)
    }

    pub(crate) fn keep(&self, ground: Ground) {
        if let Ok(mut kept) = self.kept.try_lock()
            && kept.len() < KEPT
            && ground.is_ours()
        {
            kept.push(ground);
        }
    }

    fn open(&self) -> Result<Ground, LockError> {
        Ground::open(&self.path, self.name as u8, OpenTo::Use)
    }

    /// Enters the gate of the file that the path names now: somebody may have replaced it.
    pub(crate) fn enter(&self, deadline: Option<Instant>) -> Result<(Ground, Book), LockError> {
        loop {
            let ground = self.kept().map_or_else(|| self.open(), Ok)?;
            if !ground.enter_alone()? {
                self.enter_gate(&ground, deadline)?;
            }
            failpoint::reached("gate entered");
            if names(&self.path, ground.id())? {
                let book = Book::open(&ground, &self.path)?;
                return Ok((ground, book));
            }
        }
    }

    /// Waits for the gate; a process that is stopped in it is told, and never robbed.
    pub(crate) fn enter_gate(&self, ground: &Ground, deadline: Option<Instant>) -> Result<(), LockError> {
        let began = Instant::now();
        let until = deadline.map_or(began + GATE_PATIENCE, |deadline| deadline.max(began) + GATE_GRACE);
        if ground.enter_gate(Some(until))? == Outcome::Locked {
            return Ok(());
        }
        let (path, waited) = (self.path.clone(), began.elapsed());
        Err(match ground.in_the_gate() {
            Some(holder) if holder.stopped || waited >= STUCK => {
                LockError::GateHeld { path, holder: Some(Box::new(holder)) }
            }
            None if deadline.is_none() => LockError::GateHeld { path, holder: None },
            // It is passed all the time on a busy machine, and we were not lucky: nobody is known to be stuck in it.
            _ => LockError::TimedOut { path, holder: None, ahead: 0, waited },
        })
    }

    /// A file to look at the table that the path names now; `None`: there is none, and none is made.
    pub(crate) fn present(&self) -> Result<Option<Ground>, LockError> {
        if let Some(ground) = self.kept()
            && names(&self.path, ground.id())?
        {
            return Ok(Some(ground));
        }
        match Ground::open(&self.path, self.name as u8, OpenTo::UseIfThere) {
            Ok(ground) => Ok(Some(ground)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
