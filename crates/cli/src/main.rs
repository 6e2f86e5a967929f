//! `dbmux`: many processes, one database file.
//!
//! The only room that reads arguments and the environment's configuration, prints, and exits. Each command is a file in
//! `command/`; what a person sees is made in `render/`.

mod args;
mod command;
#[cfg(feature = "broker")]
mod engine;
mod environment;
mod exit;
mod failure;
mod log;
mod render;
mod split;
mod terminal;
mod usage;

use crate::args::Arguments;

fn main() -> std::process::ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() && asks_for_json() => {
            let failure = usage::failure(&error);
            render::error::show(&failure, true);
            return failure.exit().into();
        }
        #[cfg(feature = "broker")]
        Err(error) if error.use_stderr() && std::env::args_os().nth(1).is_some_and(|command| command == "broker") => {
            let failure = usage::failure(&error);
            command::broker::refuse(&failure);
            return failure.exit().into();
        }
        Err(error) => {
            // Help, the version, or what a person is to be told: in clap's own words.
            let Some(failure) = usage::of_variable(&error) else { error.exit() };
            render::error::show(&failure, false);
            return failure.exit().into();
        }
    };
    let json = arguments.wants_json();
    terminal::set_up(&arguments.common, json);
    let done = log::set_up().and_then(|()| usage::check_runtime_directory()).and_then(|()| command::run(arguments));
    let exit = done.unwrap_or_else(|failure| {
        render::error::show(&failure, json);
        failure.exit()
    });
    exit.into()
}

/// Whether a command line that makes no sense asks for JSON all the same. What stands behind `--` is another program's.
fn asks_for_json() -> bool {
    std::env::args_os().take_while(|argument| argument != "--").any(|argument| argument == "--json")
}
