//! What is asked for, and how it comes about.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use dbmux_lock::CancelFlag;
use dbmux_os::theirs;

use super::{
    Lease, LeaseProgress,
    held::Held,
    line::{self, Ask},
    outside, token,
};
use crate::{ClientError, Priority, connect::canonical};

/// What becomes of statements that only read, while the files are handed over. Those that write wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reads {
    /// A snapshot answers them, where the broker can make one; else they wait.
    #[default]
    Snapshot,
    /// They wait.
    Wait,
}

impl From<Reads> for dbmux_proto::LeaseReads {
    fn from(reads: Reads) -> Self {
        match reads {
            Reads::Snapshot => Self::Snapshot,
            Reads::Wait => Self::Wait,
        }
    }
}

/// A wish for database files: all of them, or none.
#[derive(Debug, Clone)]
#[must_use = "nothing is asked for before `acquire`"]
pub struct LeaseRequest {
    /// Canonical, each once, in the one order in which everybody asks.
    databases: Vec<PathBuf>,
    reads: Reads,
    wait: Option<Duration>,
    priority: Priority,
    command: Option<String>,
    cancel: CancelFlag,
    runtime_directory: Option<PathBuf>,
}

impl LeaseRequest {
    /// Asks for these databases, waiting for 30 seconds, with the usual priority. They need not exist yet; their
    /// directories must.
    ///
    /// # Errors
    /// When a path cannot be that of a database, or is another's: a log, a lock's file, a second name of the same file.
    pub fn new(databases: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self, ClientError> {
        let databases = databases.into_iter().map(|path| {
            let database = canonical(path.as_ref())?;
            match theirs::why_no_database(&database) {
                Some(why) => Err(ClientError::InvalidArgument(format!("{}: {why}", path.as_ref().display()))),
                None => Ok(database),
            }
        });
        let mut databases = databases.collect::<Result<Vec<_>, _>>()?;
        databases.sort();
        databases.dedup();
        Ok(Self {
            databases,
            reads: Reads::default(),
            wait: Some(Duration::from_secs(30)),
            priority: Priority::Normal,
            command: None,
            cancel: CancelFlag::new(),
            runtime_directory: None,
        })
    }

    /// What becomes of statements that only read.
    pub fn reads(self, reads: Reads) -> Self {
        Self { reads, ..self }
    }

    /// How long to wait for others, over all databases; `None`: for as long as it takes. Zero never waits for others; a
    /// broker that has a file and does nothing with it is given the moment that it takes to let go.
    pub fn wait(self, wait: Option<Duration>) -> Self {
        Self { wait, ..self }
    }

    /// Goes before, or after, others who wait.
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// What others see as the one who has the files. Default: this process's command line.
    pub fn command(self, command: impl Into<String>) -> Self {
        Self { command: Some(command.into()), ..self }
    }

    /// Ends the wait when this flag is set.
    pub fn cancel(self, cancel: CancelFlag) -> Self {
        Self { cancel, ..self }
    }

    /// Where the brokers' sockets are. `None`: as [`crate::ClientOptions::runtime_directory`].
    pub fn runtime_directory(self, directory: Option<PathBuf>) -> Self {
        Self { runtime_directory: directory, ..self }
    }

    /// Takes the files. Blocks this thread until all of them are this process's, and tells `observe` for whom it waits.
    ///
    /// # Errors
    /// [`ClientError::Locked`] with whoever is in the way at the deadline; [`ClientError::InsideHolder`] where waiting
    /// cannot help; [`ClientError::Cancelled`]; [`ClientError::Lock`] where the locks cannot be used.
    pub fn acquire(self, observe: &mut dyn FnMut(&LeaseProgress)) -> Result<Lease, ClientError> {
        let ask = Ask {
            began: Instant::now(),
            wait: self.wait,
            reads: self.reads,
            priority: self.priority,
            command: self.command,
            cancel: self.cancel,
            runtime_directory: self.runtime_directory,
        };
        let (mut held, mut around, mut notices) = (Vec::new(), Vec::new(), Vec::new());
        for database in self.databases {
            if token::is_inside(&database)? {
                around.push(database);
            } else {
                let guard = line::take(&ask, &database, observe, &mut notices)?;
                held.push(Held { database, guard });
            }
        }
        let held = outside::gone(held, &ask, observe)?;
        Ok(Lease::new(held, around, notices))
    }
}
