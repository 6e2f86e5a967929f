//! One MCP server for any number of agents: `dbmux mcp`.
//!
//! A thin client of the databases' brokers. It opens no database, and talks to a broker only when a tool is called, so that
//! a session which never asks never touches the file. Any number of these servers may run on one database, beside whoever
//! else uses it.
//!
//! A tool's failure is the tool's answer, with a code, who was in the way and what to do ([`failure`]); none ends the
//! server.

mod call;
mod cursors;
mod databases;
mod dbt;
mod failure;
mod http;
pub mod install;
mod options;
mod prompts;
mod reply;
mod resources;
mod schema;
mod server;
mod statement;
mod stdio;
mod tool;
mod tools;

pub use dbt::DbtOptions;
pub use http::{HttpError, serve_http};
pub use options::{CatalogQuestions, McpOptions};
pub use server::serve_stdio;
