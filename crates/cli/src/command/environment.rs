//! `dbmux environment`: the variables that dbmux reads.

use std::io::Write;

use serde_json::{Value, json};

use crate::{
    environment::{VARIABLES, Variable},
    exit::Exit,
    failure::Failure,
    render::{self, table},
    terminal,
};

/// Prints the table, with what is set.
pub(crate) fn run(json: bool) -> Result<Exit, Failure> {
    let set = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    if json {
        let one = |variable: &Variable| {
            let Variable { name, meaning, default } = variable;
            json!({ "name": name, "meaning": meaning, "default": default, "set_to": set(name) })
        };
        writeln!(render::report_output(), "{}", Value::from_iter(VARIABLES.iter().map(one)))?;
        return Ok(Exit::Done);
    }
    let width = terminal::stdout_is_terminal().then(terminal::width);
    let mut frame = table::frame(width);
    frame.set_header(["variable", "meaning", "default", "set to"]);
    for variable in VARIABLES {
        let set = set(variable.name).unwrap_or_default();
        frame.add_row([variable.name, &variable.meaning.replace('`', ""), variable.default, &set]);
    }
    writeln!(render::report_output(), "{frame}")?;
    Ok(Exit::Done)
}
