//! Who has a lock, as errors and reports show holders.

use dbmux_lock::{Mode, TicketInfo};
use dbmux_proto::{Holder, HolderKind};

use crate::connect::millis;

/// A lock's ticket as a holder. Its number is 0 where it means nothing here: in another PID namespace.
pub fn lock_holder(ticket: &TicketInfo) -> Holder {
    let kind = if ticket.same_namespace { HolderKind::Process } else { HolderKind::OtherNamespace };
    Holder {
        kind: kind.into(),
        pid: if ticket.same_namespace { ticket.process.pid } else { 0 },
        command: ticket.command.clone(),
        user: ticket.user.clone().unwrap_or_default(),
        since: humantime::format_rfc3339_millis(ticket.since).to_string(),
        held_ms: millis(ticket.age()),
        writes: ticket.mode == Mode::Exclusive,
        part: "lock".to_owned(),
        stopped: ticket.stopped,
        ..Holder::default()
    }
}
