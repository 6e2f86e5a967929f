//! Where a project's runner listens.

use std::path::{Path, PathBuf};

use dbmux_lock::{Guard, Lock, LockName, Mode, Request, Wait};
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
        let lock = Lock::open(&self.socket.with_extension("start"), LockName::Plain)?;
        Ok(lock.acquire(&Request::new(Mode::Exclusive).wait(wait))?)
    }
}
