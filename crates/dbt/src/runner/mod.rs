//! The project's runner: one daemon for a project and user, that takes requests to run dbt, merges those that go together,
//! and has the project's lock, the databases' leases and the warm dbt. It starts itself, and leaves when idle.
//!
//! A connection has a thread that knows its deadline ([`converse`]); one thread does the work ([`work`]); what they share is
//! behind one mutex ([`shared`]).

mod ask;
mod converse;
mod place;
pub mod protocol;
mod queue;
mod serve;
mod shared;
mod work;

pub use ask::{Canceller, ask};
pub use place::Place;
pub use serve::{RunnerOptions, serve};

/// The one word of a runner that has started.
pub const LISTENS: &str = "listens";
