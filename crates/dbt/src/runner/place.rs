//! Where a project's runner listens.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use dbmux_lock::{Guard, Lock, LockError, LockName, Mode, Request, Wait};
use dbmux_os::{file_id::FileId, runtime};

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
    /// `own`: the socket that it listens on. Where somebody has removed that, the one that is there is another runner's.
    pub(super) fn clear(&self, leaving: Guard, own: Option<FileId>) {
        if own.is_none() || FileId::of_path(&self.socket).ok() != own {
            return;
        }
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

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, time::Duration};

    use super::*;

    fn place(directory: &Path) -> (Place, Option<FileId>) {
        let place = Place { project: directory.to_owned(), socket: directory.join("x.dbt") };
        drop(UnixListener::bind(place.socket()).expect("a socket"));
        let own = FileId::of_path(place.socket()).ok();
        (place, own)
    }

    fn files(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a directory").filter_map(Result::ok);
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn whoever_waits_for_one_that_leaves_gets_a_lock_that_the_next_one_sees() {
        let directory = tempfile::tempdir().expect("a directory");
        let (place, own) = place(directory.path());
        fs::write(place.log(), "").expect("a log");
        let leaving = place.start_lock(Wait::Never).expect("the lock");
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| place.start_lock(Wait::For(Duration::from_secs(20))));
            let lock = Lock::open(&place.start_path(), LockName::Plain).expect("a lock");
            dbmux_testkit::until("it waits", || lock.waiting().expect("a look") == 1);
            place.clear(leaving, own);
            let guard = waits.join().expect("no panic").expect("the lock");
            assert_eq!(files(directory.path()), ["x.start"], "socket and empty log are gone");
            guard.verify().expect("it is the one that others see");
            place.start_lock(Wait::Never).expect_err("it is held");
        });
    }

    #[test]
    fn what_is_not_its_own_or_says_something_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let (place, own) = place(directory.path());
        fs::write(place.log(), "why\n").expect("a log");
        place.clear(place.start_lock(Wait::Never).expect("the lock"), None);
        assert_eq!(files(directory.path()), ["x.dbt", "x.log", "x.start"]);
        place.clear(place.start_lock(Wait::Never).expect("the lock"), own);
        assert_eq!(files(directory.path()), ["x.log"]);
    }
}
