//! Wire protocols in front of a dbmux broker: bytes that others invented, turned into calls of a
//! [`Service`](dbmux_engine::Service) and back.
//!
//! [`serve`] answers Arrow Flight SQL and dbmux's own `Control` service on one Unix socket. What always holds here:
//!
//! - a peer of another user is refused before a byte of it is read;
//! - a call runs in the session that its metadata names, else in one that lives as long as its connection;
//! - whatever a peer sends, the others are served on: its connection or its call ends with an error that says why;
//! - an error keeps its details, also in the middle of a result.

mod calls;
mod connection;
mod control;
mod details;
mod error;
mod flight;
mod memory;
mod serve;
mod socket;
mod status;

pub use error::WireError;
pub use serve::serve;
