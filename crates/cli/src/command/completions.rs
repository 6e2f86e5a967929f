//! `dbmux completions`: a shell's completion script.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{args::Arguments, exit::Exit, failure::Failure, render};

/// Prints the script.
pub(crate) fn run(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "dbmux", &mut script);
    render::result_output().write_all(&script)?;
    Ok(Exit::Done)
}
