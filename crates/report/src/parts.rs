//! The pieces that several reports share, as JSON.

use dbmux_client::{Holder, HolderKind, lock_holder};
use dbmux_lock::TicketInfo;
use serde_json::{Value, json};

/// A holder, with `null` for what is not known.
pub fn holder(holder: &Holder) -> Value {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "kind": holder_kind(holder.kind()),
        "pid": (holder.pid != 0).then_some(holder.pid),
        "command": text(&holder.command),
        "user": text(&holder.user),
        "since": text(&holder.since),
        "held_s": (holder.held_ms > 0).then(|| seconds(holder.held_ms)),
        "working_directory": text(&holder.working_directory),
        "writes": holder.writes,
        "part": text(&holder.part),
        "lock": text(&holder.lock),
        "stopped": holder.stopped,
    })
}

/// Those who have a lock, or wait for it.
pub fn tickets(tickets: &[TicketInfo]) -> Vec<Value> {
    tickets.iter().map(|ticket| holder(&lock_holder(ticket))).collect()
}

/// `process`, `broker`, …
pub fn holder_kind(kind: HolderKind) -> &'static str {
    match kind {
        HolderKind::Process => "process",
        HolderKind::Broker => "broker",
        HolderKind::Session => "session",
        HolderKind::Lease => "lease",
        HolderKind::OtherNamespace => "other_namespace",
        HolderKind::OtherHost => "other_host",
        HolderKind::Unknown | HolderKind::Unspecified => "unknown",
    }
}

/// Milliseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "exact for the next 285,000 years")]
pub fn seconds(ms: u64) -> f64 {
    ms as f64 / 1e3
}
