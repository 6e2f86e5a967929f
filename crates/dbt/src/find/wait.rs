//! Waiting until no dbt is at a project: by the ends of all that are found, at once, not by asking again and again.
//!
//! After each end it is looked again, for a next one may have begun. What has dbt in it and need not end, as an editor's
//! bridge, is waited for by its work and its lock too: nothing tells when these go, so they are asked for, ever more rarely. Cancelled and
//! timed-out waits are errors, which name who is in the way.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::{Duration, Instant},
};

use dbmux_os::{
    OsError,
    process::{self, ExitWatch, Waited},
    range_lock::CancelFlag,
};

use super::{Find, Found, Search};
use crate::DbtError;

/// The first and the longest pause between two questions for a lock.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

/// How a wait stands: told at its begin, and whenever somebody else is in the way.
#[derive(Debug)]
pub struct Waiting<'a> {
    /// All that was found, at the latest look.
    pub found: &'a Found,
    /// How long it has taken so far.
    pub waited: Duration,
}

/// Waits until no dbt is in the way at a project. `timeout`: `None` waits for ever, zero only looks. Tells what the last
/// look has found, which may be finds that are in nobody's way. `observe` hears how it stands.
///
/// # Errors
/// [`DbtError::StillRunning`] at the deadline, [`DbtError::Cancelled`]; else as [`Search::look`].
pub fn wait_for_dbt_completion(
    search: &Search,
    timeout: Option<Duration>,
    cancel: Option<&CancelFlag>,
    observe: &mut dyn FnMut(&Waiting<'_>),
) -> Result<Found, DbtError> {
    let began = Instant::now();
    let deadline = timeout.and_then(|timeout| began.checked_add(timeout));
    let mut told = Vec::new();
    let mut pause = PAUSES.0;
    let mut warned = false;
    loop {
        let found = search.look()?;
        let waited = began.elapsed();
        if let Some(blind) = found.blind.as_ref().filter(|_| !std::mem::replace(&mut warned, true)) {
            tracing::warn!("{blind}");
        }
        if !found.is_dbt_running() {
            return Ok(found);
        }
        let now: Vec<_> = found.in_the_way().map(|find| (find.process.id, find.kind)).collect();
        if now != told {
            told = now;
            pause = PAUSES.0;
            observe(&Waiting { found: &found, waited });
        }
        match until_something_ends(search, &found, &mut pause, deadline, cancel)? {
            Waited::Ended => {}
            Waited::TimedOut => {
                let finds = found.finds.into_iter().filter(Find::is_in_the_way).collect();
                return Err(DbtError::StillRunning {
                    project: search.root().to_owned(),
                    finds,
                    waited: began.elapsed(),
                });
            }
            Waited::Cancelled => return Err(DbtError::Cancelled),
        }
    }
}

/// Sleeps until one of the finds has ended, or has let go of what it holds.
fn until_something_ends(
    search: &Search,
    found: &Found,
    pause: &mut Duration,
    deadline: Option<Instant>,
    cancel: Option<&CancelFlag>,
) -> Result<Waited, DbtError> {
    let mut watches = Vec::new();
    let mut unwatched = Vec::new();
    for find in found.in_the_way() {
        match ExitWatch::open(find.process.id) {
            Ok(watch) => watches.push(watch),
            Err(OsError::NoSuchProcess { .. }) => return Ok(Waited::Ended),
            Err(_) => unwatched.push(find.process.id),
        }
    }
    let hosts: Vec<_> = found.in_the_way().flat_map(|find| &find.hosts).copied().collect();
    loop {
        let asks = !hosts.is_empty() || !unwatched.is_empty();
        let until = if asks { earlier(deadline, Instant::now() + jittered(*pause)) } else { deadline };
        match process::wait_any(&watches, until, cancel)? {
            Waited::TimedOut if asks && deadline.is_none_or(|deadline| Instant::now() < deadline) => {}
            ended => return Ok(ended),
        }
        *pause = (*pause * 2).min(PAUSES.1);
        let let_go = hosts.iter().any(|host| !search.may_be_in_the_way(*host));
        if let_go || unwatched.iter().any(|process| !process::is_alive(*process)) {
            return Ok(Waited::Ended);
        }
    }
}

fn earlier(deadline: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(deadline.map_or(other, |deadline| deadline.min(other)))
}

/// Three quarters to five quarters of it, so that many who wait do not ask at once.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 512;
    pause.mul_f64(0.75 + f64::from(u16::try_from(random).unwrap_or_default()) / 1024.0)
}
