//! Leases: database files, handed over to this process, for a tool that must open them itself.
//!
//! A lease *is* the database's file lock, which every broker takes before it attaches the file: so nobody attaches under it,
//! whatever becomes of brokers. It needs no broker, and starts none. Where one has the file, it is told that somebody waits,
//! once our ticket is in the lock's line; so nobody can come between its letting go and our being granted.
//!
//! What always holds: several databases are taken in the order of their paths, so that two askers cannot wait for each
//! other; nothing is held when asking fails; a file that this process has by a lease which it runs inside of is not asked
//! for again.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::process::Command;
//! use dbmux_client::LeaseRequest;
//!
//! let lease = LeaseRequest::new(["sales.duckdb"])?.command("nightly load").acquire(&mut |_| {})?;
//! let mut load = Command::new("./load.py");
//! lease.share_with(&mut load)?;
//! load.status()?;
//! drop(lease);
//! # Ok(())
//! # }
//! ```

mod broker;
mod held;
mod line;
mod outside;
mod own;
mod progress;
mod request;
mod still;
mod token;

pub use self::{
    held::Lease,
    progress::{LeaseProgress, LeaseStage},
    request::{LeaseRequest, Reads},
    still::Still,
    token::leased_around,
};
