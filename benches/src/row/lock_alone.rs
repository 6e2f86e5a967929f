//! Acquire and release with nobody else there: ours and a bare `flock` in this process, Python's in one of theirs.

#![expect(clippy::disallowed_methods, reason = "a bare flock is what we are measured beside")]

use std::time::Instant;

use dbmux_lock::{Lock, LockName, Mode, Request};
use rustix::fs::{FlockOperation, flock};

use super::peer;
use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, in_turn},
    rival::Rival,
};

/// Pairs in one sample.
const PAIRS: u32 = 1000;

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let directory = context.fresh()?;
    let file = peer::open(&directory.path().join("flock"))?;
    let lock = Lock::open(&directory.path().join("lock"), LockName::Plain)?;
    let request = Request::new(Mode::Exclusive);
    let python = |library: &str| -> Result<Rival> {
        Rival::script(context, "locks.py", [library.into(), directory.path().join(library).into_os_string()])
    };
    let (mut fasteners, mut filelock, mut portalocker) =
        (python("fasteners")?, python("filelock")?, python("portalocker")?);
    let asked = format!("pairs {PAIRS}");
    let [ours, flock, fasteners, filelock, portalocker] = in_turn(
        context.rounds(21, 7),
        [
            &mut || {
                pairs(|| {
                    drop(lock.acquire(&request)?);
                    Ok(())
                })
            },
            &mut || {
                pairs(|| {
                    flock(&file, FlockOperation::LockExclusive)?;
                    Ok(flock(&file, FlockOperation::Unlock)?)
                })
            },
            &mut || fasteners.numbers(&asked),
            &mut || filelock.numbers(&asked),
            &mut || portalocker.numbers(&asked),
        ],
    )?
    .map(|samples| Figure::Seconds(samples.typical(0.5)));
    let what = "lock: acquire and release, nobody else there";
    Ok(vec![
        Line::beside(what, ours, ("a bare flock pair", flock), Goal::Within(10.0)),
        Line::beside(what, ours, ("fasteners", fasteners), Goal::Better(5.0)),
        Line::beside(what, ours, ("filelock", filelock), Goal::Better(20.0)),
        Line::beside(what, ours, ("portalocker", portalocker), Goal::None),
    ])
}

fn pairs(pair: impl Fn() -> Result<()>) -> Result<Vec<f64>> {
    let began = Instant::now();
    for _ in 0..PAIRS {
        pair()?;
    }
    Ok(vec![began.elapsed().as_secs_f64() / f64::from(PAIRS)])
}
