//! What the keeper tells those who wait: for whom, and what became of it.

use std::time::Instant;

use dbmux_engine::{Holder, ServiceError};
use dbmux_lock::TicketInfo;
use tokio::sync::watch;

use crate::{errors, locks};

/// What the keeper tells those who wait.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    /// Raised by each change of whatever they wait for.
    pub(super) turn: u64,
    holder: Option<Holder>,
    /// When that was told.
    told: Option<Instant>,
    /// Who has the file by a lease.
    pub(super) lease: Option<TicketInfo>,
    /// Those outside who wait for the file before us.
    pub(super) outside: usize,
    pub(super) failure: Option<(u64, ServiceError)>,
    /// Why reads wait too, and no copy answers them.
    pub(super) no_snapshot: Option<String>,
}

/// Tells of every change of what others wait for.
pub(crate) struct Changes(pub(super) watch::Receiver<View>);

impl Changes {
    pub(crate) async fn next(&mut self) {
        // Its sender lives as long as the file, which whoever listens keeps.
        let _ = self.0.changed().await;
    }
}

impl View {
    /// What those who wait, wait for: nobody; a foreign process; or a lease, with those who go before us.
    pub(super) fn waits_for(&mut self, holder: Option<Holder>) {
        (self.holder, self.lease, self.outside) = (holder, None, 0);
        self.told = Some(Instant::now());
    }

    pub(super) fn waits_for_lease(&mut self, ticket: Option<&TicketInfo>, ahead: usize) {
        (self.holder, self.lease, self.outside) = (ticket.map(locks::lease), ticket.cloned(), ahead);
        self.told = Some(Instant::now());
    }

    /// The process that those who wait, wait for; as old as it is now.
    pub(super) fn holder_now(&self) -> Option<Holder> {
        let mut holder = self.holder.clone()?;
        if holder.held_ms > 0 {
            holder.held_ms += self.told.map_or(0, |told| errors::millis(told.elapsed()));
        }
        Some(holder)
    }
}
