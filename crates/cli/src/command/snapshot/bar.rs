//! How far a long copy is.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal;

/// A copy that takes longer shows how far it is.
const LONG: Duration = Duration::from_millis(500);

/// How far a long copy is, on a terminal.
pub(super) struct Bar {
    began: Instant,
    bar: Option<ProgressBar>,
}

impl Bar {
    pub(super) fn new(size: u64) -> Self {
        let bar = (terminal::stderr_is_terminal() && !terminal::wants_json()).then(|| {
            let style = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}");
            ProgressBar::new(size).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { began: Instant::now(), bar }
    }

    pub(super) fn at(&self, done: u64) -> bool {
        if let Some(bar) = self.bar.as_ref().filter(|_| self.began.elapsed() >= LONG) {
            bar.set_position(done);
        }
        true
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
