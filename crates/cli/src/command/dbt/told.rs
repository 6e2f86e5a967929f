//! What is told of a wait: after half a second for whom, and at once that a foreign dbt runs.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use dbmux_client::Holder;
use dbmux_dbt::{Waiting, WaitsFor};

use crate::{
    render::{
        self,
        live::{self, Live},
        person,
    },
    terminal,
};

/// The line that tells for whom one waits, while one does.
pub(super) struct Told {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// For whom; `None`: nobody is waited for.
    line: Option<String>,
    detected: bool,
    over: bool,
}

impl Told {
    pub(super) fn new() -> Self {
        let shared = Arc::<Shared>::default();
        let shows = Arc::clone(&shared);
        let began = Instant::now();
        std::thread::spawn(move || shows.show(began));
        Self { shared }
    }

    /// For whom.
    pub(super) fn waiting(&self, waiting: &Waiting) {
        let mut state = self.shared.state();
        if waiting.what == WaitsFor::ForeignDbt && !std::mem::replace(&mut state.detected, true) {
            let whom = waiting.whom.as_ref().map(|whom| person::holder(&Holder::from(whom))).unwrap_or_default();
            render::note(&format!("dbt process detected, waiting for completion… {whom}"));
        }
        state.line = Some(line(waiting));
        self.shared.changed.notify_all();
    }

    /// The wait is over.
    pub(super) fn started(&self, together: usize) {
        self.quiet();
        if together > 1 {
            self.note(&format!("{together} requests go in one dbt invocation"));
        }
    }

    /// What has to be said.
    pub(super) fn note(&self, text: &str) {
        self.quiet();
        render::note(&format!("note: {text}"));
    }

    /// Something else is printed: the line is gone when this returns.
    pub(super) fn quiet(&self) {
        let mut state = self.shared.state();
        if state.line.take().is_some() {
            self.shared.changed.notify_all();
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.line = None;
        state.over = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, began: Instant) {
        let mut live = Live::since(began, terminal::stderr_is_terminal());
        let mut state = self.state();
        while !state.over {
            match &state.line {
                Some(line) if began.elapsed() >= live::AFTER => live.waiting(line),
                Some(_) => {}
                None => live.clear(),
            }
            state = self.changed.wait_timeout(state, live::AFTER).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn line(waiting: &Waiting) -> String {
    let ahead = (waiting.ahead > 0).then(|| format!("{} ahead of you", waiting.ahead));
    let whom = waiting.whom.as_ref().map(|whom| {
        let command = person::holder(&Holder::from(whom)).replace("   (", " (");
        format!("for {command}")
    });
    let what = match &waiting.what {
        WaitsFor::Database(path) => Some(format!("for {}", path.display())),
        _ => whom.is_none().then(|| "in line".to_owned()),
    };
    [what, whom, ahead].into_iter().flatten().collect::<Vec<_>>().join(", ")
}
