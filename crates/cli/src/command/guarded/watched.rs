//! The command that runs, the signals that are passed on to it, and its end.

use std::{
    process::{Child, ExitStatus},
    sync::{Arc, Mutex, PoisonError},
};

use dbmux_lock::CancelFlag;
use dbmux_os::child;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH},
    iterator::{SignalsInfo, exfiltrator::WithOrigin},
    low_level::siginfo::{Cause, Origin},
};

use crate::failure::Failure;

/// What is passed on.
const SIGNALS: [i32; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH];

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
        drop(state);
        child::until_ended(&child)?;
        self.state().child = None;
        Ok(child.wait()?)
    }

    fn receive(&self, origin: &Origin) {
        let mut state = self.state();
        match state.child {
            // The terminal has told the whole group already.
            Some(_) if matches!(origin.cause, Cause::Kernel) => {}
            Some(child) => {
                let _ = child::signal(child, origin.signal);
            }
            None if origin.signal == SIGWINCH => {}
            None => {
                state.early = Some(origin.signal);
                self.cancel.cancel();
            }
        }
    }
}

/// Passes signals on from now.
pub(crate) fn listen(watched: &Watched) -> Result<(), Failure> {
    let mut signals = SignalsInfo::<WithOrigin>::new(SIGNALS)?;
    let watched = watched.clone();
    std::thread::spawn(move || {
        for origin in signals.forever() {
            watched.receive(&origin);
        }
    });
    Ok(())
}
