//! A runner's life: it listens, works, and leaves when there has been nothing to do for a while.

use std::{
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
    sync::Arc,
    time::Duration,
};

use dbmux_lock::{LockError, Wait};
use dbmux_os::file_id::FileId;

use super::{Place, converse::converse, shared::Shared, work::Worker};
use crate::{DbtError, warm::WarmOptions};

/// How long somebody who starts a runner is waited for before it is looked again whether to leave.
const BEFORE_LEAVING: Duration = Duration::from_millis(500);

/// How a runner behaves.
#[derive(Debug, Clone)]
pub struct RunnerOptions {
    /// How long it stays with nothing to do.
    pub idle_exit: Duration,
}

/// Listens, says so, and works until it has been idle for as long as it may.
///
/// # Errors
/// When it cannot listen.
pub fn serve(place: &Place, options: &RunnerOptions, says: impl FnOnce()) -> Result<(), DbtError> {
    let listener = listen(place.socket()).map_err(|error| DbtError::Runner {
        reason: format!("listen on {}: {error}", place.socket().display()),
        log: place.log(),
    })?;
    let own = FileId::of_path(place.socket()).ok();
    let shared = Arc::new(Shared::new(place.project.clone()));
    let accepting = Arc::clone(&shared);
    std::thread::spawn(move || accept(&listener, &accepting));
    says();
    let kept = WarmOptions { idle_exit: options.idle_exit, ..WarmOptions::default() };
    let mut worker = Worker::new(place.project.clone(), kept, Arc::clone(&shared));
    loop {
        while shared.wait(options.idle_exit) {
            worker.work();
        }
        // Whoever starts one now waits for us to have gone, and whoever has just connected is served first.
        let leaving = match place.start_lock(Wait::For(BEFORE_LEAVING)) {
            Ok(leaving) => Some(leaving),
            Err(DbtError::Lock(LockError::TimedOut { .. })) => continue,
            // The runtime directory is gone: nobody can reach us.
            Err(_) => None,
        };
        if !shared.close(options.idle_exit) {
            continue;
        }
        if let Some(leaving) = leaving {
            place.clear(leaving, own);
        }
        return Ok(());
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            if let Err(error) = converse(stream, &shared) {
                tracing::debug!(%error, "a connection has ended");
            }
        });
    }
}

/// Whoever has the start lock may remove a socket that nobody listens on.
fn listen(socket: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    // The directory is ours alone; the socket is so too, should somebody move it.
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
