//! dbmux's engine on SQLite.
//!
//! A session is a connection; all are SQLite's own to the file itself, in WAL mode, so that foreign programs may read and
//! write beside us as beside any other. What this crate adds: the file can be released while sessions live on (with their
//! temporary tables and settings), a copy can answer in its stead, statements are refused by name that would harm others,
//! and answers are Arrow, with nothing lost of values that are not what their column declares.
//!
//! What always holds: only SQLite opens or closes the file and its `-wal` and `-shm` while anything of ours has them open;
//! another close would drop its locks. See docs/design/sqlite.md.

mod catalog;
mod classify;
mod columns;
mod connection;
mod copy;
mod engine;
mod errors;
// The one room with raw pointers.
#[expect(unsafe_code, reason = "SQLite's statements")]
mod ffi;
mod functions;
mod ingest;
mod kind;
mod luggage;
mod merged;
mod options;
mod parameters;
mod place;
pub mod plain;
mod policy;
mod pragma;
mod rows;
mod session;
mod shared;
mod slot;
mod split;
mod together;
mod typed;
mod types;

pub use catalog::CATALOG;
pub use copy::back_up;
pub use engine::SqliteEngine;
pub use kind::check_kind;
pub use options::{SqliteOptions, Synchronous};
