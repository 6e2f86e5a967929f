//! `dbmux`: many processes, one database file.
//!
//! The only room that reads arguments and the environment's configuration, prints, and exits. Each command is a file in
//! `command/`; what a person sees is made in `render/`.

mod args;
mod command;
mod environment;
mod exit;
mod failure;
mod render;
mod split;
mod terminal;

use clap::Parser;

use crate::args::Arguments;

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.wants_json();
    terminal::set_up(&arguments.common, json);
    let exit = command::run(arguments).unwrap_or_else(|failure| {
        render::error::show(&failure, json);
        failure.exit()
    });
    exit.into()
}
