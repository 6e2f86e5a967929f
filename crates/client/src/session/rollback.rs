//! A transaction that was dropped is rolled back behind the caller's back.

use std::sync::Arc;

use futures::FutureExt;

use super::{attempt::Attempt, slot::Slot, state::Transaction};
use crate::{
    Statement,
    connect::Trouble,
    shared::{Open, close},
};

impl Slot {
    /// Rolls back, while the caller goes on. Where that cannot be done, the session is closed.
    pub(crate) fn roll_back_behind(self: &Arc<Self>) {
        let Some(open) = self.present() else { return };
        let runtime = open.link.runtime().clone();
        let task = runtime.spawn(roll_back(Arc::clone(self), open));
        *self.rolling_back.lock() = Some(task.map(drop).boxed().shared());
    }
}

/// Rolls back on the session itself, so that its temporary tables stay; or closes it.
async fn roll_back(slot: Arc<Slot>, open: Open) {
    let told = match Attempt::new(&slot, &Statement::new("ROLLBACK")) {
        Ok(mut attempt) => attempt.exchange(&open).await,
        Err(_) => return,
    };
    let mut state = slot.state.lock();
    if state.transaction == Transaction::None {
        return;
    }
    // The transaction was given up; the rest of the session was not.
    state.transaction = Transaction::None;
    state.lose(false);
    drop(state);
    match told {
        Err(Trouble::Lost | Trouble::NotSent) => slot.forget(&open),
        _ => {
            slot.forget_session(&open);
            close(open);
        }
    }
}
