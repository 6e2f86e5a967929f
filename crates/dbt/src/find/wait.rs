//! Waiting until no dbt is at a project: by the ends of all that are found, at once, not by asking again and again.
//!
//! After each end it is looked again, for a next one may have begun. What holds a lock and does not end, as an editor's
//! bridge, is waited for by its lock too: nothing tells when that goes, so it is asked for, ever more rarely. Cancelled and
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
use crate::{DbtError, Waiting, WaitsFor, Whom};

/// The first and the longest pause between two questions for a lock.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

/// Waits until no dbt is in the way at a project. `timeout`: `None` waits for ever, zero only looks. Tells what the last
/// look has found, which may be finds that are in nobody's way. `observe` hears for how long it has waited already, at its
/// begin, and whenever somebody else is in the way.
///
/// # Errors
/// [`DbtError::Busy`] at the deadline, [`DbtError::Cancelled`]; else as [`Search::look`].
pub fn wait_for_dbt_completion(
    search: &Search,
    timeout: Option<Duration>,
    cancel: Option<&CancelFlag>,
    observe: &mut dyn FnMut(&Found, Duration),
) -> Result<Found, DbtError> {
    let began = Instant::now();
    let deadline = timeout.and_then(|timeout| began.checked_add(timeout));
    let mut told = Vec::new();
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
            observe(&found, waited);
        }
        match until_something_ends(search, &found, deadline, cancel)? {
            Waited::Ended => {}
            Waited::TimedOut => {
                let whom = found.in_the_way().next().map(Whom::from);
                let waiting = Waiting { what: WaitsFor::ForeignDbt, whom, ahead: 0 };
                return Err(DbtError::Busy { waiting: Box::new(waiting), waited: began.elapsed() });
            }
            Waited::Cancelled => return Err(DbtError::Cancelled),
        }
    }
}

/// Sleeps until one of the finds has ended, or has let go of what it holds.
fn until_something_ends(
    search: &Search,
    found: &Found,
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
    let holds: Vec<_> = found.in_the_way().filter(|find| waits_for_its_lock(find)).map(holder).collect();
    let mut pause = PAUSES.0;
    loop {
        let asks = !holds.is_empty() || !unwatched.is_empty();
        let until = if asks { earlier(deadline, Instant::now() + jittered(pause)) } else { deadline };
        match process::wait_any(&watches, until, cancel)? {
            Waited::TimedOut if asks && deadline.is_none_or(|deadline| Instant::now() < deadline) => {}
            ended => return Ok(ended),
        }
        let let_go = holds.iter().any(|holder| !search.is_locked_by(*holder));
        if let_go || unwatched.iter().any(|process| !process::is_alive(*process)) {
            return Ok(Waited::Ended);
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// It does not end by itself; and by its lock only it is in the way.
fn waits_for_its_lock(find: &Find) -> bool {
    matches!(find.kind, super::Kind::IdleHolding | super::Kind::LanguageServer)
}

fn holder(find: &Find) -> process::ProcessId {
    find.process.id
}

fn earlier(deadline: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(deadline.map_or(other, |deadline| deadline.min(other)))
}

/// Three quarters to five quarters of it, so that many who wait do not ask at once.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 512;
    pause.mul_f64(0.75 + f64::from(u16::try_from(random).unwrap_or_default()) / 1024.0)
}
