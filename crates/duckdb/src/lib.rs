//! dbmux's engine on DuckDB 2.0, statically linked.
//!
//! One instance of DuckDB with no database of its own; the file is attached to it, and detached from it, under the name
//! that DuckDB would give it, while sessions live on. Results cross as Arrow, as they are made.
//!
//! What always holds: the file is opened by [`dbmux_engine::Engine::attach`] and by nothing else in this crate, [`plain`] aside,
//! which is for programs that have no broker.

mod attached;
mod classify;
mod engine;
mod errors;
mod facts;
mod ffi;
mod insert;
mod interrupt;
mod magic;
mod name;
mod options;
mod parameters;
pub mod plain;
mod policy;
mod ready;
mod rows;
mod session;
mod state;

pub use engine::DuckDbEngine;
pub use options::DuckDbOptions;
