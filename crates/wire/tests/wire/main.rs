//! Drives `serve` over a real Unix socket with real clients. The service behind it is a fixture that answers fixed kinds
//! of Arrow data: engines have their own tests, and no C++ is compiled for these.

mod control;
mod data;
mod service;
mod shortcut;
mod support;
