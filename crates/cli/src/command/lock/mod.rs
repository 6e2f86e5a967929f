//! `dbmux lock`: runs a command under a lock. No broker takes part.
//!
//! The command stays in this process's group, so that a terminal's Ctrl-C, Ctrl-Z and the like reach it as if it had been
//! started alone; a signal that somebody sends to this process alone is passed on to it.
//!
//! The command's process inherits the lock: should this one be killed, nobody else is let in before the command has ended.

mod look;
mod watched;
mod which;

use std::{
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use dbmux_client::lock_holder;
use dbmux_lock::{Guard, Lock, Mode, Priority, Request, Wait, WaitState};
use dbmux_os::{child, process};
use watched::Watched;
use which::Which;

use crate::{
    args::{LockArgs, PriorityArg},
    exit::Exit,
    failure::Failure,
    render::{
        self,
        live::{self, Live},
        person,
    },
    terminal,
};

/// Takes the lock, runs the command, and gives its exit code on.
pub(crate) fn run(args: LockArgs) -> Result<Exit, Failure> {
    if args.command.is_empty() {
        return look::run(&args);
    }
    let lock = Which::of(&args)?.open()?;
    let watched = Watched::default();
    watched::listen(&watched)?;
    let mode = if args.shared { Mode::Shared } else { Mode::Exclusive };
    let wait = if args.waiting.wait.is_zero() { Wait::Never } else { Wait::For(args.waiting.wait) };
    let command = args.command.join(std::ffi::OsStr::new(" "));
    let request = Request::new(mode)
        .wait(wait)
        .priority(priority(args.waiting.priority))
        .command(command.to_string_lossy())
        .cancel(watched.cancel.clone());
    let mut guard = acquire(&lock, &request, &watched).map_err(|failure| match watched.early() {
        Some(signal) => Failure::quiet(Exit::Child(killed_by(signal))),
        None if failure.holder.is_some() => failure.with_message(format!("{} is locked", args.name.display())),
        None => failure,
    })?;
    if let Some(died) = guard.previous_holder_died() {
        render::note(&format!(
            "note: the holder before us (pid {}) died with the lock: its work may be half done",
            died.pid
        ));
    }
    let child = spawn(&args, &mut guard)?;
    let status = watched.until_ended(child)?;
    if let Err(error) = guard.verify() {
        render::note(&format!("warning: {error}: others may have run at the same time"));
    }
    drop(guard);
    Ok(Exit::Child(code(status)))
}

fn priority(priority: PriorityArg) -> Priority {
    match priority {
        PriorityArg::High => Priority::High,
        PriorityArg::Normal => Priority::Normal,
        PriorityArg::Low => Priority::Low,
    }
}

/// Waits for the lock; after half a second the live line says for whom. What this command runs inside of is not waited
/// for: it waits for us.
fn acquire(lock: &Lock, request: &Request, watched: &Watched) -> Result<Guard, Failure> {
    let inside = AtomicBool::new(false);
    let present: Arc<Mutex<Option<WaitState>>> = Arc::default();
    let shown = Arc::clone(&present);
    let (done, waiting) = std::sync::mpsc::channel::<()>();
    let line = std::thread::spawn(move || {
        let mut live = Live::since(std::time::Instant::now(), terminal::stderr_is_terminal());
        while waiting.recv_timeout(live::AFTER).is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            if let Some(state) = shown.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                live.waiting(&for_whom(state));
            }
        }
    });
    let observer = &mut |state: &WaitState| {
        let ours = |holder: &dbmux_lock::TicketInfo| holder.same_namespace && process::runs_inside(holder.process);
        if state.holder.as_ref().is_some_and(ours) {
            inside.store(true, Ordering::Relaxed);
            watched.cancel.cancel();
        }
        *present.lock().unwrap_or_else(PoisonError::into_inner) = Some(state.clone());
    };
    let taken = lock.acquire_observed(request, observer);
    drop(done);
    // It has only the line to take away.
    let _ = line.join();
    taken.map_err(|error| {
        if inside.into_inner() {
            let text = format!(
                "{} is held by a command that this one runs inside of: waiting cannot help",
                lock.path().display()
            );
            Failure::usage(text).with_hint("give it another name, or leave the inner lock out")
        } else {
            error.into()
        }
    })
}

fn for_whom(state: &WaitState) -> String {
    let ahead = if state.ahead > 0 { format!(", {} ahead of you", state.ahead) } else { String::new() };
    match &state.holder {
        Some(ticket) => format!("for {}{ahead}", person::holder(&lock_holder(ticket)).replace("   (", " (")),
        None => format!("in line{ahead}"),
    }
}

/// Starts the command, which is shown as the holder before it does anything.
fn spawn(args: &LockArgs, guard: &mut Guard) -> Result<Child, Failure> {
    let Some((program, arguments)) = args.command.split_first() else {
        return Err(Failure::usage("there is no command"));
    };
    let mut command = Command::new(program);
    command.args(arguments).env("DBMUX_FENCE", guard.fence().to_string());
    guard.share_with(&mut command)?;
    let mut shown = Ok(());
    let child = child::spawn_after(command, |pid| {
        shown = process::id(pid).map_err(Failure::from).and_then(|id| Ok(guard.show_as(id)?));
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
