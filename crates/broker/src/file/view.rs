//! What the keeper tells those who wait: for whom, and what became of it.

use dbmux_engine::{Holder, ServiceError};
use dbmux_lock::TicketInfo;
use tokio::sync::watch;

use crate::locks;

/// What the keeper tells those who wait.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    /// Raised by each change of whatever they wait for.
    pub(super) turn: u64,
    pub(super) holder: Option<Holder>,
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
    }

    pub(super) fn waits_for_lease(&mut self, ticket: Option<&TicketInfo>, ahead: usize) {
        (self.holder, self.lease, self.outside) = (ticket.map(locks::lease), ticket.cloned(), ahead);
    }
}
