//! Runs a command under what protects it: a lock, or a lease.
//!
//! The command stays in this process's group, so that a terminal's Ctrl-C, Ctrl-Z and the like reach it as if it had been
//! started alone; a signal that somebody sends to this process alone is passed on to it.
//!
//! The command's process inherits the protection: should this one be killed, nobody else is let in before the command has
//! ended. It is shown as the holder before it does anything.

mod waiting;
mod watched;

use std::{
    ffi::OsString,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus},
};

use dbmux_client::Lease;
use dbmux_dbt::guarded::Guarded;
use dbmux_lock::{Guard, ProcessId};
use dbmux_os::{child, process};

pub(crate) use self::{
    waiting::shown,
    watched::{Watched, listen},
};
use crate::{exit::Exit, failure::Failure, render};

/// What a command runs under; given back when it is dropped.
pub(crate) trait Protection {
    /// Gives it to the process that this command starts as well.
    fn share_with(&self, command: &mut Command) -> Result<(), Failure>;
    /// Shows that process as the one who has it.
    fn show_as(&mut self, process: ProcessId) -> Result<(), Failure>;
    /// Why others may not have been kept out.
    fn broken(&self) -> Option<String>;
}

/// All of them have the same face, each with errors of its own.
macro_rules! protections {
    ($($kind:ty),+) => {$(
        impl Protection for $kind {
            fn share_with(&self, command: &mut Command) -> Result<(), Failure> {
                Ok(Self::share_with(self, command)?)
            }

            fn show_as(&mut self, process: ProcessId) -> Result<(), Failure> {
                Ok(Self::show_as(self, process)?)
            }

            fn broken(&self) -> Option<String> {
                self.verify().err().map(|error| error.to_string())
            }
        }
    )+};
}

protections!(Guard, Lease, Guarded);

/// Runs the command, gives the protection back when it has ended, and passes its exit code on.
pub(crate) fn run(mut command: Command, mut under: impl Protection, watched: &Watched) -> Result<Exit, Failure> {
    under.share_with(&mut command)?;
    let child = spawn(command, &mut under)?;
    let status = watched.until_ended(child)?;
    if let Some(why) = under.broken() {
        render::note(&format!("warning: {why}: others may have run at the same time"));
    }
    drop(under);
    Ok(Exit::Child(code(status)))
}

/// The command to run.
pub(crate) fn command(words: &[OsString]) -> Result<Command, Failure> {
    let (program, arguments) = words.split_first().ok_or_else(|| Failure::usage("there is no command"))?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

/// As others see it.
pub(crate) fn text(words: &[OsString]) -> String {
    words.join(std::ffi::OsStr::new(" ")).to_string_lossy().into_owned()
}

/// The failure of one whose wait a signal has ended is that signal.
pub(crate) fn unless_signalled(failure: Failure, watched: &Watched) -> Failure {
    match watched.early() {
        Some(signal) => Failure::quiet(Exit::Child(killed_by(signal))),
        None => failure,
    }
}

fn spawn(command: Command, under: &mut impl Protection) -> Result<Child, Failure> {
    let program = command.get_program().to_owned();
    let mut shown = Ok(());
    let child = child::spawn_after(command, |pid| {
        shown = process::id(pid).map_err(Failure::from).and_then(|id| under.show_as(id));
        shown.is_ok()
    });
    shown?;
    child.map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
        Failure::system(format!("{}: {error}", program.display())).with_exit(Exit::Child(code))
    })
}

fn code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, signal) => killed_by(signal.unwrap_or_default()),
    }
}

fn killed_by(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}
