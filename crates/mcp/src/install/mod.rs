//! `dbmux mcp install`: writes the server's entry into the configuration file of a program that starts MCP servers.
//!
//! Only the entry is touched: text is put into the file's own text, so that order, layout and comments stay. What stood
//! there before is kept beside it. [`plan`] reads and decides, [`Plan::write`] writes.

mod entry;
mod error;
mod json;
mod jsonc;
mod places;
mod plan;
mod program;
mod toml;
mod write;

pub use entry::Server;
pub use error::{InstallError, Position};
pub use places::{Places, Platform, Scope};
pub use plan::{Plan, entry, plan};
pub use program::Program;
pub use write::Written;
