//! The single owner of a database file.
//!
//! A [`Broker`] has the owner lock of one database and serves it to many sessions: it decides who may run, when the file
//! is attached, and how long it lives itself. It reads no arguments and prints nothing; the wire protocols see it as a
//! [`dbmux_engine::Service`].

mod admission;
mod broker;
mod core;
mod deadline;
mod errors;
mod file;
mod floor;
mod holder;
mod lane;
mod lease;
mod lifecycle;
mod locks;
mod options;
mod seat;
mod session;
mod stats;
mod status;
mod track;
mod waiters;

pub use broker::Broker;
pub use file::SnapshotOptions;
pub use options::BrokerOptions;
