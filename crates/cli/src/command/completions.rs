//! `dbmux completions`: a shell's completion script.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{args::Arguments, exit::Exit, failure::Failure};

/// Prints the script.
pub(crate) fn run(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "dbmux", &mut script);
    std::io::Write::write_all(&mut std::io::stdout(), &script)?;
    Ok(Exit::Done)
}
