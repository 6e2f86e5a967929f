//! The command that runs, the signals that are passed on to it, and its end.
//!
//! What the terminal's keys send, the kernel sends to the whole group: the command has it already. Of the terminal's end it
//! tells the session's leader alone; as such we pass that on too, as a shell does.
//!
//! A command that stops is told to the shell that watches us as our own stop: what it sees is what the command would have
//! shown it. Where nobody watches, its stop is waited out. A signal that was ignored when we were started stays ignored, for
//! us and for the command.

use std::{
    process::{Child, ExitStatus},
    sync::{Arc, Mutex, PoisonError},
};

use dbmux_lock::CancelFlag;
use dbmux_os::{
    child::{self, Change},
    job,
};
use signal_hook::{
    consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH},
    iterator::{SignalsInfo, exfiltrator::WithOrigin},
    low_level::siginfo::{Cause, Origin},
};

use crate::failure::Failure;

/// What is passed on.
const SIGNALS: [i32; 8] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT];

/// The command that runs, and what came before it ran.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched {
    state: Arc<Mutex<State>>,
    /// Ends the wait for the lock.
    pub(crate) cancel: CancelFlag,
}

#[derive(Debug, Default)]
struct State {
    /// Set only while its number cannot be anybody else's.
    child: Option<u32>,
    early: Option<i32>,
    /// We were continued before that: the command may have begun, and stopped, before we knew its number.
    continued: bool,
}

impl Watched {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The signal that ended the wait.
    pub(crate) fn early(&self) -> Option<i32> {
        self.state().early
    }

    /// Waits for the command's end. A signal is passed on as long as the command has not been reaped.
    pub(crate) fn until_ended(&self, mut child: Child) -> Result<ExitStatus, Failure> {
        let mut state = self.state();
        state.child = Some(child.id());
        // It came after the lock was granted and before there was anybody to pass it on to.
        if let Some(signal) = state.early.take() {
            let _ = child::signal(child.id(), signal);
        }
        if state.continued {
            let _ = child::signal(child.id(), SIGCONT);
        }
        drop(state);
        while child::until_changed(child.id())? == Change::Stopped {
            self.stop_with(child.id());
        }
        self.state().child = None;
        Ok(child.wait()?)
    }

    /// Stops as the command has, where somebody sees it. Nothing is passed on meanwhile: the command does not go on between
    /// the look at it and our own stop, or else we would stay behind with its lease.
    fn stop_with(&self, child: u32) {
        let _state = self.state();
        if let Some(signal) = child::take_stop(child)
            && job::is_watched()
        {
            job::stop(signal);
        }
    }

    fn receive(&self, origin: &Origin) {
        let mut state = self.state();
        match state.child {
            Some(_) if matches!(origin.cause, Cause::Kernel) && !is_told_to_us_alone(origin.signal) => {}
            Some(child) => {
                let _ = child::signal(child, origin.signal);
            }
            None if origin.signal == SIGWINCH => {}
            None if origin.signal == SIGCONT => state.continued = true,
            None => {
                state.early = Some(origin.signal);
                self.cancel.cancel();
            }
        }
    }
}

/// Of what the kernel sends: the terminal's end, and the continuation that comes with it.
fn is_told_to_us_alone(signal: i32) -> bool {
    matches!(signal, SIGHUP | SIGCONT) && job::leads_session()
}

/// Passes signals on from now.
pub(crate) fn listen(watched: &Watched) -> Result<(), Failure> {
    let mut signals = SignalsInfo::<WithOrigin>::new(SIGNALS.into_iter().filter(|signal| !job::ignores(*signal)))?;
    let watched = watched.clone();
    std::thread::spawn(move || {
        for origin in signals.forever() {
            watched.receive(&origin);
        }
    });
    Ok(())
}
