//! `dbmux lock`: runs a command under a lock. No broker takes part.
//!
//! The command stays in this process's group, so that a terminal's Ctrl-C, Ctrl-Z and the like reach it as if it had been
//! started alone; a signal that somebody sends to this process alone is passed on to it.
//!
//! The command's process inherits the lock: should this one be killed, nobody else is let in before the command has ended.

use std::{
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, PoisonError},
};

use dbmux_lock::{CancelFlag, Guard, Lock, LockName, Mode, Priority, Request, Scope, Wait, WaitState};
use dbmux_os::{child, process};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH},
    iterator::{SignalsInfo, exfiltrator::WithOrigin},
    low_level::siginfo::{Cause, Origin},
};

use crate::{
    args::{LockArgs, PriorityArg, ScopeArg},
    exit::Exit,
    failure::{self, Failure},
    render::{
        self,
        live::{self, Live},
        person,
    },
    terminal,
};

/// What is passed on.
const SIGNALS: [i32; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH];

/// What a project's top directory is known by.
const PROJECT: [&str; 4] = [".dbmux", ".git", "dbt_project.yml", ".hg"];

/// Takes the lock, runs the command, and gives its exit code on.
pub(crate) fn run(args: LockArgs) -> Result<Exit, Failure> {
    let lock = open(&args)?;
    let watched = Watched::default();
    listen(&watched)?;
    let mode = if args.shared { Mode::Shared } else { Mode::Exclusive };
    let wait = if args.waiting.wait.is_zero() { Wait::Never } else { Wait::For(args.waiting.wait) };
    let command = args.command.join(std::ffi::OsStr::new(" "));
    let request = Request::new(mode)
        .wait(wait)
        .priority(priority(args.waiting.priority))
        .command(command.to_string_lossy())
        .cancel(watched.cancel.clone());
    let mut guard = acquire(&lock, &request).map_err(|failure| match watched.early() {
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

fn open(args: &LockArgs) -> Result<Lock, Failure> {
    let path = Path::new(&args.name);
    let scope = args.scope.unwrap_or_else(|| if is_database(path) { ScopeArg::Database } else { ScopeArg::Global });
    let name = || args.name.to_str().ok_or_else(|| Failure::usage("a lock's name is UTF-8 text"));
    Ok(match scope {
        ScopeArg::Database => {
            let database = dbmux_os::runtime::canonical_database_path(path)?;
            Lock::open_for_database(&database, LockName::Plain)?
        }
        ScopeArg::Project => Lock::named(name()?, &Scope::Project(project()?))?,
        ScopeArg::Global => Lock::named(name()?, &Scope::Global)?,
    })
}

/// It has a directory, or is a file that is there: no plain name is meant.
fn is_database(path: &Path) -> bool {
    path.components().count() > 1 || path.is_file()
}

/// The nearest directory above this one that looks like a project's top; this one where none does.
fn project() -> Result<PathBuf, Failure> {
    let here = std::env::current_dir()?;
    let top = here.ancestors().find(|directory| PROJECT.iter().any(|mark| directory.join(mark).exists()));
    Ok(top.unwrap_or(&here).to_owned())
}

fn priority(priority: PriorityArg) -> Priority {
    match priority {
        PriorityArg::High => Priority::High,
        PriorityArg::Normal => Priority::Normal,
        PriorityArg::Low => Priority::Low,
    }
}

/// Waits for the lock; after half a second the live line says for whom.
fn acquire(lock: &Lock, request: &Request) -> Result<Guard, Failure> {
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
        *present.lock().unwrap_or_else(PoisonError::into_inner) = Some(state.clone());
    };
    let taken = lock.acquire_observed(request, observer);
    drop(done);
    // It has only the line to take away.
    let _ = line.join();
    Ok(taken?)
}

fn for_whom(state: &WaitState) -> String {
    let ahead = if state.ahead > 0 { format!(", {} ahead of you", state.ahead) } else { String::new() };
    match &state.holder {
        Some(ticket) => format!("for {}{ahead}", person::holder(&failure::lock_holder(ticket)).replace("   (", " (")),
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

/// The command that runs, and what came before it ran.
#[derive(Debug, Clone, Default)]
struct Watched {
    state: Arc<Mutex<State>>,
    /// Ends the wait for the lock.
    cancel: CancelFlag,
}

#[derive(Debug, Default)]
struct State {
    /// Set only while its number cannot be anybody else's.
    child: Option<u32>,
    early: Option<i32>,
}

impl Watched {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The signal that ended the wait.
    fn early(&self) -> Option<i32> {
        self.state().early
    }

    /// Waits for the command's end. A signal is passed on as long as the command has not been reaped.
    fn until_ended(&self, mut child: Child) -> Result<ExitStatus, Failure> {
        let mut state = self.state();
        state.child = Some(child.id());
        // It came after the lock was granted and before there was anybody to pass it on to.
        if let Some(signal) = state.early.take() {
            let _ = child::signal(child.id(), signal);
        }
        drop(state);
        child::until_ended(&child)?;
        self.state().child = None;
        Ok(child.wait()?)
    }

    fn receive(&self, origin: &Origin) {
        let mut state = self.state();
        match state.child {
            // The terminal has told the whole group already.
            Some(_) if matches!(origin.cause, Cause::Kernel) => {}
            Some(child) => {
                let _ = child::signal(child, origin.signal);
            }
            None if origin.signal == SIGWINCH => {}
            None => {
                state.early = Some(origin.signal);
                self.cancel.cancel();
            }
        }
    }
}

fn listen(watched: &Watched) -> Result<(), Failure> {
    let mut signals = SignalsInfo::<WithOrigin>::new(SIGNALS)?;
    let watched = watched.clone();
    std::thread::spawn(move || {
        for origin in signals.forever() {
            watched.receive(&origin);
        }
    });
    Ok(())
}
