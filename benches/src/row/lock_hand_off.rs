//! Two processes: one holds for 100 ms, the other one sleeps in the lock; from the moment before the release to the moment
//! when the other one is in.
//!
//! The waiter comes at a random moment of the hold's first half, so that a lock that polls meets the release at a random
//! moment of its pause.

use std::{path::Path, time::Duration};

use super::peer;
use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, in_turn},
    rival::Rival,
};

const HOLD: Duration = Duration::from_millis(100);
/// Hand-offs in a round.
const TURNS: usize = 5;

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let directory = context.fresh()?;
    let at = |name: &str| directory.path().join(name);
    let python = |path: &Path| Rival::script(context, "locks.py", ["filelock".as_ref(), path.as_os_str()]);
    let mut ours = [peer::start("dbmux", &at("lock"))?, peer::start("dbmux", &at("lock"))?];
    let mut flock = [peer::start("flock", &at("flock"))?, peer::start("flock", &at("flock"))?];
    let mut filelock = [python(&at("filelock"))?, python(&at("filelock"))?];
    let [ours, flock, filelock] = in_turn(
        context.rounds(16, 5),
        [&mut || hand_over(&mut ours), &mut || hand_over(&mut flock), &mut || hand_over(&mut filelock)],
    )?
    .map(|samples| Figure::Seconds(samples.overall(0.5)));
    let what = "lock: release to a sleeping waiter, p50";
    Ok(vec![
        Line::beside(what, ours, ("a blocking flock", flock), Goal::Within(3.0)),
        Line::beside(what, ours, ("filelock", filelock), Goal::Better(200.0)),
    ])
}

fn hand_over([holder, waiter]: &mut [Rival; 2]) -> Result<Vec<f64>> {
    let turn = |_| {
        let held = holder.ask(&format!("hold {}", HOLD.as_millis()))?;
        if held != "held" {
            return Err(format!("not held, but {held}").into());
        }
        std::thread::sleep(HOLD.mul_f64(rand::random::<f64>() / 2.0));
        waiter.say("wait")?;
        let (released, entered): (i128, i128) = (holder.hear()?.parse()?, waiter.hear()?.parse()?);
        Ok((entered - released) as f64 / 1e9)
    };
    (0..TURNS).map(turn).collect()
}
