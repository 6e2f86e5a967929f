//! What goes on inside, on standard error: `DBMUX_LOG`.
//!
//! A level is of dbmux's own crates; the libraries below stay at warnings, unless a filter names them.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, filter::ParseError, fmt};

use crate::{failure::Failure, usage};

/// What is logged when nobody says.
const DEFAULT: &str = "warn";
/// What may be said.
const ALLOWED: &str = "it is off, error, warn, info, debug, trace, or a filter by module (dbmux_lock=debug)";

/// Begins to log.
///
/// # Errors
/// When `DBMUX_LOG` is neither a level nor a filter.
pub(crate) fn set_up() -> Result<(), Failure> {
    let wish = std::env::var_os("DBMUX_LOG").unwrap_or_default();
    let wish = wish.to_string_lossy();
    let filter = filter(&wish).map_err(|_| usage::nonsense("DBMUX_LOG".as_ref(), &wish, ALLOWED))?;
    let colours =
        std::io::stderr().is_terminal() && anstream::stderr().current_choice() != anstream::ColorChoice::Never;
    let log = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // A server outlives whoever reads its errors: that a line cannot be written must not end anything.
    let log = log.log_internal_errors(false);
    // Only one subscriber is ever set, here.
    let _ = log.try_init();
    Ok(())
}

fn filter(wish: &str) -> Result<EnvFilter, ParseError> {
    let wish = wish.trim();
    match wish {
        "" => EnvFilter::try_new(DEFAULT),
        level if level.chars().all(|letter| letter.is_ascii_alphabetic()) => {
            EnvFilter::try_new(format!("{DEFAULT},dbmux={level}"))
        }
        filter => EnvFilter::try_new(filter),
    }
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn a_level_is_of_our_own_crates() {
        assert_eq!(filter("").unwrap().to_string(), "warn");
        let debug = filter(" debug ").unwrap().to_string();
        assert!(debug.contains("dbmux=debug") && debug.contains("warn"), "{debug}");
        assert_eq!(filter("dbmux_lock=trace").unwrap().to_string(), "dbmux_lock=trace");
    }

    #[test]
    fn what_is_no_level_is_refused() {
        assert!(filter("loud").is_err());
        assert!(filter("dbmux=loud").is_err());
    }
}
