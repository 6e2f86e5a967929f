//! `dbmux environment`: the variables that dbmux reads.

use std::io::Write;

use crate::{
    environment::VARIABLES,
    exit::Exit,
    failure::Failure,
    render::{self, table},
    terminal,
};

/// Prints the table, with what is set.
pub(crate) fn run() -> Result<Exit, Failure> {
    let width = terminal::stdout_is_terminal().then(terminal::width);
    let mut frame = table::frame(width);
    frame.set_header(["variable", "meaning", "default", "set to"]);
    for variable in VARIABLES {
        let set = std::env::var_os(variable.name).map(|value| value.to_string_lossy().into_owned());
        frame.add_row([variable.name, &variable.meaning.replace('`', ""), variable.default, &set.unwrap_or_default()]);
    }
    writeln!(render::report_output(), "{frame}")?;
    Ok(Exit::Done)
}
