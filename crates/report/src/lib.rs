//! What people and programs are shown, by every face of dbmux: rows, holders, waits and figures, as text and as JSON.
//!
//! Nothing here starts a broker, opens a database or writes anywhere: it looks, and it makes texts.

mod concurrent;
mod error;
pub mod parts;
pub mod person;
pub mod rows;
pub mod stats;
pub mod status;
pub mod table;
pub mod who;

pub use concurrent::Concurrent;
pub use error::{ReportError, code_name};
