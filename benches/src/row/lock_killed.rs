//! A holder is killed with SIGKILL while another process waits: from the kill to the moment when that one is in.

use std::time::Duration;

use dbmux_lock::{Lock, LockName};

use super::peer;
use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, Samples},
};

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let directory = context.fresh()?;
    let path = directory.path().join("lock");
    let lock = Lock::open(&path, LockName::Plain)?;
    let mut samples = Samples::default();
    for _ in 0..context.rounds(300, 100) {
        let mut holder = peer::start("dbmux", &path)?;
        holder.ask("hold 600000")?;
        let mut waiter = peer::start("dbmux", &path)?;
        waiter.say("wait")?;
        while lock.waiting()? == 0 {
            std::thread::sleep(Duration::from_micros(200));
        }
        let killed = peer::now();
        holder.kill()?;
        let entered: i128 = waiter.hear()?.parse()?;
        samples.push(vec![(entered - killed) as f64 / 1e9]);
    }
    let p99 = Figure::Seconds(samples.overall(0.99));
    let most = Figure::Seconds(0.005);
    Ok(vec![Line::alone("lock: holder killed, the next one in, p99", p99, Goal::AtMost(most))])
}
