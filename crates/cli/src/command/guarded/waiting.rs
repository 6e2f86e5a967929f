//! The live line of one who waits for what protects his command: after half a second it says for whom.

use std::{
    sync::{
        Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Instant,
};

use crate::{
    render::live::{self, Live},
    terminal,
};

/// Does what waits, and shows what it tells last, in words.
pub(crate) fn shown<T: Send, R>(words: impl Fn(&T) -> String + Send, wait: impl FnOnce(&mut dyn FnMut(T)) -> R) -> R {
    let present = Mutex::new(None);
    let (done, waiting) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let present = &present;
        scope.spawn(move || {
            let mut live = Live::since(Instant::now(), terminal::stderr_is_terminal());
            while waiting.recv_timeout(live::AFTER) == Err(RecvTimeoutError::Timeout) {
                if let Some(told) = present.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                    live.waiting(&words(told));
                }
            }
        });
        let outcome = wait(&mut |told| *present.lock().unwrap_or_else(PoisonError::into_inner) = Some(told));
        // The line goes away, and its thread with it.
        drop(done);
        outcome
    })
}
