//! How a broker behaves. Read from the command line and the environment by `cli`, and by nobody else.

use std::{path::PathBuf, time::Duration};

use crate::{admission::Limits, file::SnapshotOptions};

/// How a broker behaves.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// The database file, canonical.
    pub database: PathBuf,
    /// The socket on which clients reach it: for reports only, the broker does not listen itself.
    pub socket: PathBuf,
    /// How long to wait for the owner lock at start.
    pub start_wait: Duration,
    /// How long the file stays attached with nothing running and no transaction open.
    pub release_after: Duration,
    /// How long the broker stays without sessions.
    pub idle_exit: Duration,
    /// How long a transaction may be idle, or a result unread, while others wait for it.
    pub idle_transaction: Duration,
    /// How long running statements may take when the broker drains for somebody else.
    pub drain: Duration,
    /// Statements that run side by side, at least.
    pub workers_min: usize,
    /// Statements that run side by side, at most.
    pub workers_max: usize,
    /// One statement at a time, to debug.
    pub serial: bool,
    /// Statements that may wait.
    pub queue: usize,
    /// Statements of one session that may run or wait.
    pub max_inflight: usize,
    /// How copies are made that answer while a lease is out.
    pub snapshots: SnapshotOptions,
}

impl BrokerOptions {
    /// The defaults for this database and socket.
    pub fn new(database: PathBuf, socket: PathBuf) -> Self {
        Self {
            database,
            socket,
            start_wait: Duration::from_secs(30),
            release_after: Duration::from_secs(1),
            idle_exit: Duration::from_secs(600),
            idle_transaction: Duration::from_secs(30),
            drain: Duration::from_secs(30),
            workers_min: 4,
            workers_max: 16,
            serial: false,
            queue: 1000,
            max_inflight: 64,
            snapshots: SnapshotOptions { program: Vec::new(), limit: 2 << 30 },
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        if self.serial {
            return Limits { workers_min: 1, workers_max: 1, queue: self.queue };
        }
        let workers_min = self.workers_min.max(1);
        Limits { workers_min, workers_max: self.workers_max.max(workers_min), queue: self.queue }
    }
}
