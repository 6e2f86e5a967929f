//! What is told of a wait.

use std::time::Instant;

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

/// The line that tells for whom one waits.
pub(super) struct Told {
    began: Instant,
    live: Option<Live>,
    detected: bool,
}

impl Told {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), live: None, detected: false }
    }

    /// For whom.
    pub(super) fn waiting(&mut self, waiting: &Waiting) {
        if waiting.what == WaitsFor::ForeignDbt && !self.detected {
            self.detected = true;
            let whom = waiting.whom.as_ref().map(|whom| person::holder(&Holder::from(whom))).unwrap_or_default();
            render::note(&format!("dbt process detected, waiting for completion… {whom}"));
        }
        if self.began.elapsed() < live::AFTER && waiting.what != WaitsFor::ForeignDbt {
            return;
        }
        let live = self.live.get_or_insert_with(|| Live::since(self.began, terminal::stderr_is_terminal()));
        live.waiting(&line(waiting));
    }

    /// The wait is over.
    pub(super) fn started(&mut self, together: usize) {
        self.quiet();
        if together > 1 {
            self.note(&format!("{together} requests go in one dbt invocation"));
        }
    }

    /// What has to be said.
    pub(super) fn note(&mut self, text: &str) {
        self.quiet();
        render::note(&format!("note: {text}"));
    }

    /// Something else is printed.
    pub(super) fn quiet(&mut self) {
        self.live = None;
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
