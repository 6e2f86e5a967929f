//! Drives `serve` over a real Unix socket with real clients. The service behind it is a fixture that answers fixed kinds
//! of Arrow data: engines have their own tests, and no C++ is compiled for these.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod catalog;
mod control;
mod data;
mod garbage;
mod ingest;
mod lifetime;
mod options;
mod plain;
mod service;
mod shortcut;
mod sql;
mod support;
