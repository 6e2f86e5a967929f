//! `dbmux`: many processes, one database file.
//!
//! The only room that reads arguments and the environment's configuration, prints, and exits. Each command is a file in
//! `command/`; what a person sees is made in `render/`.

mod args;
mod command;
mod environment;
mod exit;
mod failure;
mod log;
mod render;
mod split;
mod terminal;

use clap::Parser;

use crate::{args::Arguments, failure::Failure};

fn main() -> std::process::ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() && asks_for_json() => {
            let failure = usage(&error);
            render::error::show(&failure, true);
            return failure.exit().into();
        }
        #[cfg(feature = "duckdb")]
        Err(error) if error.use_stderr() && std::env::args_os().nth(1).is_some_and(|command| command == "broker") => {
            let failure = usage(&error);
            command::broker::refuse(&failure);
            return failure.exit().into();
        }
        // Help, the version, or what a person is to be told: in clap's own words.
        Err(error) => error.exit(),
    };
    let json = arguments.wants_json();
    terminal::set_up(&arguments.common, json);
    let done = log::set_up()
        .map_err(|error| Failure::usage(format!("DBMUX_LOG: {error}")))
        .and_then(|()| command::run(arguments));
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

/// What clap says, without what it shows of the usage.
fn usage(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let ends = ["\n\nUsage:", "\n\nFor more information"].iter().filter_map(|end| text.find(end)).min();
    let message = &text[..ends.unwrap_or(text.len())];
    Failure::usage(message.trim_start_matches("error: ").trim()).with_hint("--help tells what it takes")
}
