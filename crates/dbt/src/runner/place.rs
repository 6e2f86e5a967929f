//! Where a project's runner listens.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use dbmux_lock::{Guard, Lock, LockError, LockName, Mode, Request, Wait};
use dbmux_os::runtime;

use crate::DbtError;

/// What runners' sockets are called.
const EXTENSION: &str = "dbt";

/// Where a project's runner listens. Another build of dbmux has another one.
#[derive(Debug, Clone)]
pub struct Place {
    /// The project's directory, canonical.
    pub project: PathBuf,
    socket: PathBuf,
}

impl Place {
    /// Works it out. Makes nothing but the runtime directory.
    ///
    /// # Errors
    /// When there is no runtime directory, or it is not ours alone.
    pub fn of(project: &Path) -> Result<Self, DbtError> {
        let directory = runtime::runtime_dir()?;
        let name = project.join(concat!("dbt-", env!("CARGO_PKG_VERSION")));
        // Called other than brokers' sockets are: who looks for these finds those alone.
        let socket = runtime::socket_path_in(&directory, &name)?.with_extension(EXTENSION);
        Ok(Self { project: project.to_owned(), socket })
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What the runner has to say that nobody asked for.
    pub fn log(&self) -> PathBuf {
        self.socket.with_extension("log")
    }

    /// Whoever has this starts the runner, or ends it.
    pub(super) fn start_lock(&self, wait: Wait) -> Result<Guard, DbtError> {
        let began = Instant::now();
        loop {
            let wait = match wait {
                Wait::For(wait) => Wait::For(wait.saturating_sub(began.elapsed())),
                other => other,
            };
            let lock = Lock::open(&self.start_path(), LockName::Plain)?;
            let taken = lock.acquire(&Request::new(Mode::Exclusive).wait(wait));
            match taken.and_then(|guard| guard.verify().map(|()| guard)) {
                // A runner that has just left has taken the file away: whoever comes now has another one.
                Err(LockError::Replaced { .. }) => {}
                taken => return Ok(taken?),
            }
        }
    }

    /// Takes away what a runner leaves behind, as far as it can; what is left is the next one's. A log that says something
    /// stays. Only whoever has the start lock may: nobody starts another one meanwhile, nor has the file that is removed.
    pub(super) fn clear(&self, leaving: Guard) {
        let remove = |path: &Path| {
            let _ = fs::remove_file(path);
        };
        remove(&self.socket);
        if fs::metadata(self.log()).is_ok_and(|log| log.len() == 0) {
            remove(&self.log());
        }
        // Last, and while it is locked: whoever waits for it wakes to find that it has no name any more.
        remove(&self.start_path());
        drop(leaving);
    }

    fn start_path(&self) -> PathBuf {
        self.socket.with_extension("start")
    }
}
