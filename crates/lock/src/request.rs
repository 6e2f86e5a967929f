//! What is asked of a lock.

use std::time::{Duration, Instant};

use dbmux_os::{process::ProcessId, range_lock::CancelFlag};

use crate::{Mode, Priority};

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    Never,
    /// At most this long.
    For(Duration),
    /// For as long as it takes.
    Forever,
}

impl Wait {
    pub(crate) fn deadline(self, now: Instant) -> Option<Instant> {
        match self {
            Self::Never => Some(now),
            Self::For(wait) => now.checked_add(wait),
            Self::Forever => None,
        }
    }
}

/// What is asked of a lock.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) mode: Mode,
    pub(crate) priority: Priority,
    pub(crate) wait: Wait,
    pub(crate) command: Option<String>,
    pub(crate) behalf: Option<ProcessId>,
    pub(crate) cancel: Option<CancelFlag>,
}

impl Request {
    /// Asks for the lock in this mode, with the usual priority, waiting for 30 seconds.
    pub fn new(mode: Mode) -> Self {
        let wait = Wait::For(Duration::from_secs(30));
        Self { mode, priority: Priority::Normal, wait, command: None, behalf: None, cancel: None }
    }

    /// Goes before, or after, others who wait.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Waits this long.
    #[must_use]
    pub fn wait(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }

    /// What others see as the one who has it. Default: this process's command line.
    #[must_use]
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }

    /// Shows another process as the one who has it: a child that works under the lock.
    #[must_use]
    pub fn on_behalf_of(mut self, process: ProcessId, command: impl Into<String>) -> Self {
        self.behalf = Some(process);
        self.command = Some(command.into());
        self
    }

    /// Ends the wait when this flag is set.
    #[must_use]
    pub fn cancel(mut self, cancel: CancelFlag) -> Self {
        self.cancel = Some(cancel);
        self
    }
}
