//! A command line, or an environment, that makes no sense.
//!
//! A value that came from a variable is told by the variable's name, for nobody has typed the flag that it stands for.

use std::ffi::OsStr;

use clap::{
    CommandFactory,
    error::{ContextKind, ContextValue},
};

use crate::{args::Arguments, failure::Failure};

/// What clap says, without what it shows of the usage.
pub(crate) fn failure(error: &clap::Error) -> Failure {
    if let Some(failure) = of_variable(error) {
        return failure;
    }
    let text = error.to_string();
    let ends = ["\n\nUsage:", "\n\nFor more information"].iter().filter_map(|end| text.find(end)).min();
    let message = &text[..ends.unwrap_or(text.len())];
    Failure::usage(message.trim_start_matches("error: ").trim()).with_hint("--help tells what it takes")
}

/// The failure of a value that came from a variable.
pub(crate) fn of_variable(error: &clap::Error) -> Option<Failure> {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return None };
    let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else { return None };
    let flag = argument.split([' ', '=', '[']).next()?;
    let typed = |given: &str| given == flag || given.strip_prefix(flag).is_some_and(|rest| rest.starts_with('='));
    if std::env::args_os().take_while(|given| given != "--").any(|given| given.to_str().is_some_and(typed)) {
        return None;
    }
    let command = Arguments::command();
    let arguments = command.get_subcommands().flat_map(clap::Command::get_arguments);
    let long = flag.strip_prefix("--")?;
    let variable = arguments.filter(|argument| argument.get_long() == Some(long)).find_map(clap::Arg::get_env)?;
    Some(nonsense(variable, value, &why(error)))
}

/// The failure of a variable whose value makes no sense; `why` says what is allowed.
pub(crate) fn nonsense(variable: &OsStr, value: &str, why: &str) -> Failure {
    let variable = variable.to_string_lossy();
    Failure::usage(format!("{variable}={value} makes no sense: {why}"))
        .with_hint(format!("set {variable} to what is allowed, or unset it; `dbmux environment` tells what it is for"))
}

fn why(error: &clap::Error) -> String {
    match (error.get(ContextKind::ValidValue), std::error::Error::source(error)) {
        (Some(ContextValue::Strings(allowed)), _) if !allowed.is_empty() => format!("it is {}", allowed.join(" or ")),
        (_, Some(source)) => source.to_string(),
        _ => "it cannot be understood".to_owned(),
    }
}

/// Looks at what brokers read of the environment that they inherit from the command which starts them: it is told here,
/// by that command, whether or not a broker runs already.
///
/// # Errors
/// The first variable that makes no sense.
#[cfg(feature = "broker")]
pub(crate) fn check_broker_environment() -> Result<(), Failure> {
    let command = <crate::args::BrokerOptionArgs as clap::Args>::augment_args(clap::Command::new("broker"));
    crate::args::without_empty_variables(command)
        .try_get_matches_from(["broker"])
        .map(drop)
        .map_err(|error| failure(&error))
}

/// Looks at where sockets, logs and global locks shall be.
///
/// # Errors
/// When `DBMUX_RUNTIME_DIR` is relative, or names something that is no directory, or lies in such a thing.
pub(crate) fn check_runtime_directory() -> Result<(), Failure> {
    let name = OsStr::new("DBMUX_RUNTIME_DIR");
    let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else { return Ok(()) };
    let path = std::path::Path::new(&value);
    if !path.is_absolute() {
        let why = "it is an absolute path, the same for all that shall meet";
        return Err(nonsense(name, &value.to_string_lossy(), why));
    }
    let there = path.ancestors().find_map(|part| part.metadata().ok().map(|found| (part, found)));
    match there {
        Some((part, found)) if !found.is_dir() => {
            let why = format!("{} is no directory, and it is a directory of yours alone", part.display());
            Err(nonsense(name, &value.to_string_lossy(), &why))
        }
        _ => Ok(()),
    }
}
