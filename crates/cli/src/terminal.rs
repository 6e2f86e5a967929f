//! What the standard streams are, whether they take colours, and whether a program reads them.

use std::{
    io::IsTerminal,
    sync::atomic::{AtomicBool, Ordering},
};

use anstream::ColorChoice;

use crate::args::{Color, Common};

/// Columns where the terminal does not say.
const WIDTH: usize = 100;

/// Set once, before any command runs.
static JSON: AtomicBool = AtomicBool::new(false);

/// Decides about colours, once: the flag first, then `NO_COLOR` and what standard output and error are. With `json` a
/// program reads both: standard error has JSON only.
pub(crate) fn set_up(common: &Common, json: bool) {
    JSON.store(json, Ordering::Relaxed);
    let choice = match common.color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::AlwaysAnsi,
        Color::Never => ColorChoice::Never,
    };
    choice.write_global();
}

/// A program reads what goes on, as JSON.
pub(crate) fn wants_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// A person types.
pub(crate) fn stdin_is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// A person reads the results.
pub(crate) fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// A person reads what goes on.
pub(crate) fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// The terminal's columns.
pub(crate) fn width() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let columns = |size: rustix::termios::Winsize| usize::from(size.ws_col);
    let asked = || {
        let size = rustix::termios::tcgetwinsize(std::io::stdout());
        size.or_else(|_| rustix::termios::tcgetwinsize(std::io::stderr())).ok().map(columns)
    };
    told.or_else(asked).filter(|columns| *columns > 0).unwrap_or(WIDTH)
}
