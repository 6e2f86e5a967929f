//! What must hold whatever many processes do to one file at once, whichever engine's it is.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::unreachable,
    reason = "a test ends by panicking, and says what it saw"
)]

mod adbc;
mod attach;
mod cancel;
mod crash;
mod disk;
mod garbage;
mod hazards;
mod head;
mod idle;
#[cfg(feature = "lance")]
mod lance;
mod lease;
mod lease_again;
mod lease_kill;
mod lease_order;
mod lease_writes;
mod leased;
mod lifetime;
mod merging;
mod place;
mod reports;
mod sharing;
mod snapshot;
mod snapshot_kept;
mod sqlite;
mod synced;
mod unique;
