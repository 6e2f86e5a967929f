//! What the standard streams are, and whether they take colours.

use std::io::IsTerminal;

use anstream::ColorChoice;

use crate::args::{Color, Common};

/// Columns where the terminal does not say.
const WIDTH: usize = 100;

/// Decides about colours, once: the flag first, then `NO_COLOR` and what standard output and error are.
pub(crate) fn set_up(common: &Common) {
    let choice = match common.color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::AlwaysAnsi,
        Color::Never => ColorChoice::Never,
    };
    choice.write_global();
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
    told.or_else(|| rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col)))
        .filter(|columns| *columns > 0)
        .unwrap_or(WIDTH)
}
