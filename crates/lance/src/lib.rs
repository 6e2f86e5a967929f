//! dbmux's engine on LanceDB.
//!
//! A database is a directory of tables. A statement is an operation, written as a JSON object, or a `SELECT` over the
//! tables; the rows that an operation takes are the statement's parameters. docs/design/lance.md names them all.
//!
//! LanceDB has no lock on its files: others may write beside us at any time, and are seen, not kept out. Every change is a
//! new version of a table, which one writer makes; whoever loses does it again on what is there then.
//!
//! What always holds: the directory is opened by [`dbmux_engine::Engine::attach`]; what was acknowledged is committed, and
//! on the disk; an operation that was interrupted has not happened.

mod catalog;
mod commit;
mod copy;
mod engine;
mod errors;
#[expect(unsafe_code, reason = "batches cross between two versions of Arrow")]
mod ffi;
mod keys;
mod layout;
mod listing;
mod looks;
mod maintain;
mod merged;
mod names;
mod opened;
mod operations;
mod options;
mod rows;
mod search;
mod session;
mod shared;
mod sql;
mod threads;
mod wait;
mod writes;

pub use copy::back_up;
pub use engine::LanceEngine;
pub use layout::check_kind;
pub use listing::CATALOG;
pub use options::LanceOptions;
