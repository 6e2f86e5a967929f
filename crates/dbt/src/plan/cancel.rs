//! Ending a plan from elsewhere.

use std::sync::{Mutex, PoisonError};

use dbmux_lock::CancelFlag;

use crate::warm::Cancel;

/// Ends a plan, as Ctrl-C.
#[derive(Debug, Default)]
pub struct PlanCancel {
    pub(super) waiting: CancelFlag,
    running: Mutex<(bool, Vec<Cancel>)>,
}

impl PlanCancel {
    /// What runs stops as dbt does; nothing else is begun.
    pub fn cancel(&self) {
        self.waiting.cancel();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.0 = true;
        running.1.iter().for_each(Cancel::cancel);
    }

    /// Whether it was.
    pub fn is_cancelled(&self) -> bool {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Something that is cancelled with it.
    pub(super) fn child(&self) -> Cancel {
        let child = Cancel::new();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.0 {
            child.cancel();
        }
        running.1.push(child.clone());
        child
    }
}
