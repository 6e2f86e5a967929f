//! Ending a plan from elsewhere.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use dbmux_lock::CancelFlag;

use crate::warm::Cancel;

/// Ends a plan, as Ctrl-C.
#[derive(Debug, Default)]
pub struct PlanCancel {
    pub(super) waiting: CancelFlag,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cancelled: bool,
    last: u64,
    running: HashMap<u64, Cancel>,
}

impl PlanCancel {
    /// What runs stops as dbt does; nothing else is begun.
    pub fn cancel(&self) {
        self.waiting.cancel();
        let mut state = self.state();
        state.cancelled = true;
        state.running.values().for_each(Cancel::cancel);
    }

    /// Whether it was.
    pub fn is_cancelled(&self) -> bool {
        self.state().cancelled
    }

    /// An invocation that is cancelled with it, until this is dropped.
    pub(super) fn invocation(&self) -> Running<'_> {
        let cancel = Cancel::new();
        let mut state = self.state();
        if state.cancelled {
            cancel.cancel();
        }
        state.last += 1;
        let number = state.last;
        state.running.insert(number, cancel.clone());
        Running { plan: self, number, cancel }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An invocation that the plan's cancel ends.
pub(super) struct Running<'a> {
    plan: &'a PlanCancel,
    number: u64,
    pub(super) cancel: Cancel,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.plan.state().running.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_and_what_comes_later_is_cancelled_and_what_has_ended_is_forgotten() {
        let plan = PlanCancel::default();
        for _ in 0..3 {
            drop(plan.invocation());
        }
        let (one, other) = (plan.invocation(), plan.invocation());
        assert_eq!(plan.state().running.len(), 2);
        assert!(!one.cancel.is_cancelled() && !plan.is_cancelled());
        plan.cancel();
        assert!(one.cancel.is_cancelled() && other.cancel.is_cancelled() && plan.is_cancelled());
        assert!(plan.invocation().cancel.is_cancelled(), "it comes too late");
        drop((one, other));
        assert!(plan.state().running.is_empty());
    }
}
