//! `dbmux lock`: runs a command under a lock. No broker takes part.

mod look;
mod which;

use std::cell::Cell;

use dbmux_client::lock_holder;
use dbmux_lock::{Guard, Lock, Mode, Request, TicketInfo, Wait, WaitState};
use dbmux_os::process;
use which::Which;

use super::guarded::{self, Watched};
use crate::{
    args::LockArgs,
    exit::Exit,
    failure::Failure,
    render::{self, person},
};

/// Takes the lock, runs the command, and gives its exit code on.
pub(crate) fn run(args: LockArgs) -> Result<Exit, Failure> {
    if args.command.is_empty() {
        return look::run(&args);
    }
    let lock = Which::of(&args)?.open()?;
    let watched = Watched::default();
    guarded::listen(&watched)?;
    let mode = if args.shared { Mode::Shared } else { Mode::Exclusive };
    let wait = if args.waiting.wait.is_zero() { Wait::Never } else { Wait::For(args.waiting.wait) };
    let request = Request::new(mode)
        .wait(wait)
        .priority(args.waiting.priority.into())
        .command(guarded::text(&args.command))
        .cancel(watched.cancel.clone());
    let guard = acquire(&lock, &request, &watched).map_err(|failure| {
        let failure = guarded::unless_signalled(failure, &watched);
        match failure.holder.is_some() {
            true => failure.with_message(format!("{} is locked", args.name.display())),
            false => failure,
        }
    })?;
    if let Some(died) = guard.previous_holder_died() {
        render::note(&format!(
            "note: the holder before us (pid {}) died with the lock: its work may be half done",
            died.pid
        ));
    }
    let mut command = guarded::command(&args.command)?;
    command.env("DBMUX_FENCE", guard.fence().to_string());
    guarded::run(command, guard, &watched)
}

/// Waits for the lock. What this command runs inside of is not waited for: it waits for us.
fn acquire(lock: &Lock, request: &Request, watched: &Watched) -> Result<Guard, Failure> {
    let inside = Cell::new(false);
    let taken = guarded::shown(for_whom, |tell| {
        lock.acquire_observed(request, &mut |state: &WaitState| {
            let ours = |holder: &TicketInfo| holder.same_namespace && process::runs_inside(holder.process);
            if state.holder.as_ref().is_some_and(ours) {
                inside.set(true);
                watched.cancel.cancel();
            }
            tell(state.clone());
        })
    });
    taken.map_err(|error| {
        if inside.get() {
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
