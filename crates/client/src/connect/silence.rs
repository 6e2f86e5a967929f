//! Waiting for the broker's answer, and what is said when none comes.
//!
//! A broker that is stopped keeps its socket, and whatever is sent to it is taken in and never answered: no error ever
//! comes from the kernel. So no answer is waited for without a limit. When the caller's deadline has passed, the
//! process is looked at: one that is stopped will not answer, and that is said at once. One that runs may be slow, or at
//! work on our statement, whose time is not limited: it is waited for while it answers other questions.
//!
//! Nothing wakes us when somebody else's process is stopped, so it is looked at from time to time; but only then.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use dbmux_os::process::{self, ProcessInfo};
use dbmux_proto::{Holder, HolderKind};
use tokio::time::{sleep, timeout};

use super::{Deadline, Link};

/// What a broker that runs may take for an answer of its own, however short the caller's deadline is.
pub(crate) const OWN_ANSWER: Duration = Duration::from_secs(2);
/// What a broker that runs may take to start, however short the caller's deadline is.
pub(super) const OWN_START: Duration = Duration::from_secs(5);
/// Between two looks at a broker's process, once the deadline has passed.
const LOOK: Duration = Duration::from_millis(250);
/// Between two questions to a broker that works on a statement, and how long it may take to answer one.
const QUESTION: Duration = Duration::from_secs(10);

/// A broker that does not answer.
#[derive(Debug, Clone)]
pub(crate) struct Silence {
    /// Its process, where that can be seen.
    pub(crate) holder: Option<Box<Holder>>,
    /// How long was waited.
    pub(crate) waited: Duration,
}

impl Silence {
    pub(crate) fn of(pid: Option<u32>, deadline: Deadline) -> Self {
        let seen = pid.and_then(|pid| process::info(pid).ok());
        Self { holder: seen.as_ref().map(holder).map(Box::new), waited: deadline.waited() }
    }
}

/// Waits for what a process must say: until the deadline, and while it is not stopped for at least `own`.
pub(super) async fn answer<T>(
    pid: Option<u32>,
    deadline: Deadline,
    own: Duration,
    answer: impl Future<Output = T>,
) -> Result<T, Silence> {
    let mut answer = pin!(answer);
    if let Ok(answered) = timeout(deadline.left(), &mut answer).await {
        return Ok(answered);
    }
    while !is_stopped(pid) && deadline.waited() < own {
        if let Ok(answered) = timeout(LOOK.min(own.saturating_sub(deadline.waited())), &mut answer).await {
            return Ok(answered);
        }
    }
    Err(Silence::of(pid, deadline))
}

/// Waits for what comes of a statement: for as long as the broker is well.
pub(crate) async fn work<T>(link: &Link, deadline: Deadline, answer: impl Future<Output = T>) -> Result<T, Silence> {
    let mut answer = pin!(answer);
    let first = if deadline.passed() { LOOK } else { deadline.left() };
    if let Ok(answered) = timeout(first, &mut answer).await {
        return Ok(answered);
    }
    let mut asked = Instant::now();
    loop {
        if is_stopped(link.pid()) {
            return Err(Silence::of(link.pid(), deadline));
        }
        if asked.elapsed() < QUESTION {
            tokio::select! {
                biased;
                answered = &mut answer => return Ok(answered),
                () = sleep(LOOK) => continue,
            }
        }
        let mut control = link.control();
        tokio::select! {
            biased;
            answered = &mut answer => return Ok(answered),
            // Whatever it says, it is well; the statement itself tells of a connection that is over.
            heard = timeout(QUESTION, control.status(dbmux_proto::StatusRequest {})) => match heard {
                Ok(_) => asked = Instant::now(),
                Err(_) => return Err(Silence::of(link.pid(), deadline)),
            },
        }
    }
}

fn is_stopped(pid: Option<u32>) -> bool {
    pid.and_then(|pid| process::info(pid).ok()).is_some_and(|seen| seen.stopped)
}

/// The process, as those are shown who have what others wait for. Since when it does not answer is not known, and its age
/// is something else.
fn holder(seen: &ProcessInfo) -> Holder {
    let directory = seen.working_directory.as_ref();
    Holder {
        kind: HolderKind::Broker.into(),
        pid: seen.id.pid,
        command: seen.command.clone(),
        user: seen.user.clone(),
        working_directory: directory.map(|path| path.display().to_string()).unwrap_or_default(),
        writes: true,
        stopped: seen.stopped,
        ..Holder::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_that_runs_may_be_a_little_late_and_one_that_is_stopped_not() {
        let deadline = Deadline::after(Duration::ZERO);
        let late = async { sleep(Duration::from_millis(50)).await };
        assert!(answer(Some(std::process::id()), deadline, OWN_ANSWER, late).await.is_ok());

        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("a child");
        let pid = child.id();
        let stop = std::process::Command::new("kill").args(["-STOP", &pid.to_string()]).status();
        assert!(stop.expect("kill runs").success());
        while !is_stopped(Some(pid)) {
            tokio::task::yield_now().await;
        }
        let deadline = Deadline::after(Duration::from_millis(50));
        let never = std::future::pending::<()>();
        let silence = answer(Some(pid), deadline, OWN_ANSWER, never).await.expect_err("it is stopped");
        assert!(silence.waited < OWN_ANSWER, "it was not waited for");
        let holder = silence.holder.expect("it is seen");
        assert!(holder.stopped && holder.pid == pid && holder.command == "sleep 60");
        assert!(holder.held_ms == 0 && holder.since.is_empty(), "its age is not for how long it is silent");
        child.kill().expect("a kill");
        child.wait().expect("its end");
    }
}
