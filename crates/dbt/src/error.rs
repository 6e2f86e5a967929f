//! What can go wrong.

use std::{path::PathBuf, time::Duration};

use dbmux_client::{ClientError, Holder};
use dbmux_lock::LockError;
use dbmux_os::OsError;

use crate::find::{Find, Kind as FindKind};
use crate::{Waiting, WaitsFor, Whom, runner::protocol::Trouble};

/// What can go wrong around dbt.
#[derive(Debug, thiserror::Error)]
pub enum DbtError {
    /// No `dbt_project.yml` in this directory, nor in one above it.
    #[error("no dbt_project.yml in {}, nor in a directory above it", directory.display())]
    NoProject {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// A file that dbt would read, and that is missing or cannot be understood.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of dbt's that is no YAML, or says what it cannot mean.
    #[error("{}:{line}: {reason}", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// dbt's profile cannot be found, or lacks what it must have.
    #[error("{}: {reason}", path.display())]
    Profile {
        /// The `profiles.yml` that was read.
        path: PathBuf,
        /// What it lacks.
        reason: String,
    },
    /// The project has no resource of this name, or several.
    #[error("{}", no_resource(asked, near))]
    NoResource {
        /// As it was asked for.
        asked: String,
        /// Those that may be meant.
        near: Vec<String>,
    },
    /// A resource has no column of this name.
    #[error("{resource} has no column {column:?}")]
    NoColumn {
        /// The resource's `unique_id`.
        resource: String,
        /// As it was asked for.
        column: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// The time was up. Nothing has run.
    #[error("{}", busy(waiting))]
    Busy {
        /// For whom it waited.
        waiting: Box<Waiting>,
        /// For how long.
        waited: Duration,
    },
    /// Somebody cancelled it, as by Ctrl-C, before it began.
    #[error("cancelled")]
    Cancelled,
    /// The project's runner cannot be had.
    #[error("the project's dbt runner cannot be used: {reason}")]
    Runner {
        /// Why.
        reason: String,
        /// Where it may have said more.
        log: PathBuf,
    },
    /// The project's runner was lost while dbt ran.
    #[error("the project's dbt runner was lost while dbt ran: some models may have been built")]
    OutcomeUnknown {
        /// Where it may have said more.
        log: PathBuf,
    },
    /// The runner would not, or could not.
    #[error("{message}")]
    Refused {
        /// As the codes of the user's guide.
        code: String,
        /// What is wrong.
        message: String,
        /// What to do; empty: nothing.
        suggestion: String,
    },
    /// A dbt that dbmux did not start is at the project, and the deadline has passed.
    #[error("dbt is already running in this project. Please wait for it to complete.")]
    StillRunning {
        /// The project's directory.
        project: PathBuf,
        /// Who is in the way.
        finds: Vec<Find>,
        /// How long it was waited for.
        waited: Duration,
    },
    /// There is no dbt to run, or none that can be run.
    #[error("no dbt to run: {}: {reason}", path.display())]
    NoDbt {
        /// The program that was looked for, or its Python.
        path: PathBuf,
        /// Why it cannot be run.
        reason: String,
    },
    /// The process that has dbt imported ended in the middle of a request: what it was doing is left half done, as by a
    /// dbt that is killed.
    #[error("dbt ended before it was done: {reason}")]
    Lost {
        /// How it ended, and its last words.
        reason: String,
    },
    /// The process that has dbt imported said what it cannot have meant.
    #[error("the process that keeps dbt imported: {reason}")]
    Bridge {
        /// What.
        reason: String,
    },
    /// dbt itself refused.
    #[error("dbt: {message}")]
    Dbt {
        /// In its own words.
        message: String,
    },
    /// A lease was not granted.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The project's lock was not granted.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The operating system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

fn no_resource(asked: &str, near: &[String]) -> String {
    let several = near.len() > 1 && near.iter().all(|id| id.ends_with(asked));
    format!("{} called {asked:?} in this project", if several { "there are several" } else { "there is nothing" })
}

fn busy(waiting: &Waiting) -> String {
    match &waiting.what {
        WaitsFor::ForeignDbt | WaitsFor::Project | WaitsFor::Queue => {
            "dbt is already running in this project. Please wait for it to complete.".to_owned()
        }
        WaitsFor::Database(path) => format!("{} is in use", path.display()),
    }
}

impl DbtError {
    /// The code in the user's guide.
    pub fn code(&self) -> &str {
        match self {
            Self::NoProject { .. }
            | Self::File { .. }
            | Self::Yaml { .. }
            | Self::Profile { .. }
            | Self::NoResource { .. }
            | Self::NoColumn { .. } => "INVALID_ARGUMENT",
            Self::Busy { waiting, .. } if matches!(waiting.what, WaitsFor::Database(_)) => "DATABASE_LOCKED",
            Self::Busy { .. } => "DBT_RUNNING",
            Self::Cancelled => "CANCELLED",
            Self::Runner { .. } => "RUNNER_UNAVAILABLE",
            Self::OutcomeUnknown { .. } => "OUTCOME_UNKNOWN",
            Self::Refused { code, .. } => code,
            Self::Client(error) => error.code().as_str_name().trim_start_matches("ERROR_CODE_"),
            Self::StillRunning { .. } => "DBT_RUNNING",
            Self::NoDbt { .. } => "NO_DBT",
            Self::Dbt { .. } => "DBT",
            Self::Lost { .. } => "OUTCOME_UNKNOWN",
            Self::Bridge { .. } => "INTERNAL",
            Self::Lock(_) | Self::Os(_) => "SYSTEM",
        }
    }

    /// What to do about it; empty: nothing.
    pub fn suggestion(&self) -> String {
        match self {
            Self::NoProject { .. } => "go to the project's directory, or name it with --project-dir".to_owned(),
            Self::Busy { waiting, .. } if waiting.what == WaitsFor::ForeignDbt => {
                "wait longer with --wait 5m; start it as `dbmux dbt …` next time, and both take turns".to_owned()
            }
            Self::StillRunning { finds, .. }
                if finds.first().is_some_and(|find| find.kind == FindKind::IdleHolding) =>
            {
                let pid = finds.first().map_or(0, |find| find.process.id.pid);
                format!("it is idle, and keeps the database: close it, or kill {pid}")
            }
            Self::Busy { .. } | Self::StillRunning { .. } => "wait longer with --wait 5m".to_owned(),
            Self::NoDbt { .. } => {
                "activate the virtual environment that has dbt, or name it: --dbt .venv/bin/dbt".to_owned()
            }
            Self::Runner { log, .. } | Self::OutcomeUnknown { log } => {
                format!("its log is {}; --cold runs dbt without it", log.display())
            }
            Self::Refused { suggestion, .. } => suggestion.clone(),
            Self::Client(error) => error.suggestion(),
            Self::Profile { .. } => "name another with --profiles-dir, --profile or --target".to_owned(),
            Self::NoResource { near, .. } if near.is_empty() => "list what there is: dbmux dbt ls".to_owned(),
            Self::NoResource { near, .. } => format!("there are {}", near.join(", ")),
            Self::NoColumn { known, .. } => format!("it has {}", known.join(", ")),
            Self::File { .. }
            | Self::Yaml { .. }
            | Self::Cancelled
            | Self::Lost { .. }
            | Self::Bridge { .. }
            | Self::Dbt { .. }
            | Self::Lock(_)
            | Self::Os(_) => String::new(),
        }
    }

    /// Who was in the way.
    pub fn holder(&self) -> Option<Holder> {
        match self {
            Self::Busy { waiting, .. } => waiting.whom.as_ref().map(Holder::from),
            Self::StillRunning { finds, .. } => finds.first().map(|find| Holder::from(&Whom::from(find))),
            Self::Client(error) => error.holder().cloned(),
            _ => None,
        }
    }

    /// How long it was waited for.
    pub fn waited(&self) -> Option<Duration> {
        match self {
            Self::Busy { waited, .. } | Self::StillRunning { waited, .. } => Some(*waited),
            Self::Client(error) => error.waited(),
            _ => None,
        }
    }

    /// How many went first.
    pub fn ahead(&self) -> usize {
        match self {
            Self::Busy { waiting, .. } => waiting.ahead as usize,
            Self::Client(error) => error.ahead(),
            _ => 0,
        }
    }

    /// Nothing has happened, and trying again later may help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::StillRunning { .. } => true,
            Self::Client(error) => error.is_temporary(),
            _ => false,
        }
    }

    /// The same for whoever asked the runner.
    pub(crate) fn trouble(&self) -> Trouble {
        match self {
            Self::Busy { waiting, waited } => Trouble::Busy {
                waiting: (**waiting).clone(),
                waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
            },
            other => Trouble::Other {
                code: other.code().to_owned(),
                message: other.to_string(),
                suggestion: other.suggestion(),
            },
        }
    }
}
