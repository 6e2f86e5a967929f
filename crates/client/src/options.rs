//! How a client behaves.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use crate::Reads;

/// Who goes first among those who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// Overtakes a bounded number of the others.
    High,
    /// The usual one.
    #[default]
    Normal,
    /// Is overtaken by the others, a bounded number of times.
    Low,
}

impl From<Priority> for dbmux_proto::Priority {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::High => Self::High,
            Priority::Normal => Self::Normal,
            Priority::Low => Self::Low,
        }
    }
}

/// How a client behaves. The defaults are those of the command line.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// How long to wait: for the broker to start, for others, for the file. Zero never waits for others; the broker's
    /// own start and answers are given a few seconds all the same. The time that a statement itself takes is not limited.
    pub wait: Duration,
    /// Who goes first among those who wait.
    pub priority: Priority,
    /// Refuses whatever writes, and makes no file.
    pub read_only: bool,
    /// What reads get while somebody else has the file by a lease.
    pub reads: Reads,
    /// Whether a database may be made where there is none.
    pub create: bool,
    /// The engine that the file must be of, or become one of: `duckdb`, `sqlite`. `None`: whichever it is.
    pub engine: Option<String>,
    /// Whether a broker may be started where none runs.
    pub start: bool,
    /// The `dbmux` binary: a bare name is looked for in `PATH`. `None`: this program, if it is called `dbmux`; else
    /// `dbmux` beside it; else the one in `PATH`.
    pub broker_program: Option<PathBuf>,
    /// More arguments for a broker that this client starts.
    pub broker_arguments: Vec<OsString>,
    /// Where the brokers' sockets and logs are: a directory that is this user's alone, made where it is missing. `None`:
    /// `$DBMUX_RUNTIME_DIR`, else `$XDG_RUNTIME_DIR/dbmux`, else `/tmp/dbmux-UID`. Only clients that name the same place
    /// meet each other's brokers.
    pub runtime_directory: Option<PathBuf>,
    /// What others see this client as. `None`: its command line.
    pub command: Option<String>,
    /// The meaning of relative paths in statements. `None`: this process's.
    pub working_directory: Option<PathBuf>,
}

impl ClientOptions {
    /// Of one who only looks: starts nothing, and makes nothing.
    pub fn onlooker() -> Self {
        Self { start: false, create: false, ..Self::default() }
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(30),
            priority: Priority::Normal,
            read_only: false,
            reads: Reads::default(),
            create: true,
            engine: None,
            start: true,
            broker_program: None,
            broker_arguments: Vec::new(),
            runtime_directory: None,
            command: None,
            working_directory: None,
        }
    }
}
