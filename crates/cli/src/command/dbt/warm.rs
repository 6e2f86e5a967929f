//! Through the project's runner: merged with others that wait, in a process that has dbt imported.

use std::{io::Write, sync::Arc};

use dbmux_dbt::{
    Project,
    runner::{
        self, Canceller, Place,
        protocol::{Reply, Request, Stream},
    },
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use super::{Asked, told::Told};
use crate::{exit::Exit, failure::Failure};

/// Asks the runner, and prints what it answers.
pub(super) fn run(asked: &Asked, project: &Project) -> Result<Exit, Failure> {
    let place = Place::of(&project.root)?;
    let program = std::env::current_exe()?;
    let canceller = Arc::new(Canceller::default());
    cancel_by_signals(&canceller)?;
    let told = Told::new();
    let broken = &mut None;
    let mut tell = |reply: Reply| {
        match reply {
            Reply::Waiting(waiting) => told.waiting(&waiting),
            Reply::Started { together, .. } => told.started(together),
            Reply::Note(text) => told.note(&text),
            Reply::Output { stream, text } => {
                told.quiet();
                if let Err(error) = print(stream, &text)
                    && broken.is_none()
                {
                    // Whoever read our output has had enough.
                    canceller.cancel();
                    *broken = Some(error);
                }
            }
            Reply::Begins => told.quiet(),
            Reply::Accepted { .. } | Reply::Ended(_) | Reply::Failed(_) => {}
        }
    };
    let ended = runner::ask(&place, &program, request(asked), &canceller, &mut tell);
    drop(told);
    if let Some(error) = broken.take() {
        return Err(error.into());
    }
    Ok(Exit::Child(ended?.code))
}

fn request(asked: &Asked) -> Request {
    Request {
        args: asked.command.args().to_vec(),
        directory: asked.directory.clone(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        interpreter: asked.interpreter.clone(),
        wait_ms: u64::try_from(asked.options.wait.as_millis()).unwrap_or(u64::MAX),
        priority: asked.priority(),
        scope: asked.scope(),
        sequential: asked.options.sequential,
        command: format!("dbmux {}", asked.command.text()),
    }
}

fn print(stream: Stream, text: &str) -> std::io::Result<()> {
    match stream {
        Stream::Out => {
            let mut out = std::io::stdout();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        }
        Stream::Err => std::io::stderr().write_all(text.as_bytes()),
    }
}

/// The first one lets dbt stop as it does; the second one does not wait for it.
fn cancel_by_signals(canceller: &Arc<Canceller>) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let canceller = Arc::clone(canceller);
    std::thread::spawn(move || {
        for (count, _) in signals.forever().enumerate() {
            canceller.cancel();
            if count > 0 {
                std::process::exit(i32::from(Exit::Interrupted.number()));
            }
        }
    });
    Ok(())
}
