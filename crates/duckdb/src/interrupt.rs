//! Reaches a running statement from another thread.

use std::sync::Arc;

use dbmux_engine::{Interrupter, Progress};

use crate::ffi::Connection;

/// Interrupts one connection's statement.
pub(crate) struct ConnectionInterrupter(pub(crate) Arc<Connection>);

impl Interrupter for ConnectionInterrupter {
    fn interrupt(&self) {
        self.0.interrupt();
    }

    fn progress(&self) -> Progress {
        let (percent, rows_done, rows_total) = self.0.progress();
        Progress { percent, rows_done, rows_total }
    }
}
