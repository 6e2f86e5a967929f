//! Finding dbt: which processes are running it in a project.
//!
//! Evidence, strongest first: a process has the lock on the project's DuckDB file or its `.wal`; it appends to the project's
//! `dbt.log`; its arguments, parsed as the programs parse them. A wrapper and what it started are one find. What may not be
//! seen is *unknown*, and never taken for safe. Nothing is opened that a process has open.
//!
//! Cheap things are read first: the command lines of all processes, once; environment, descriptors and libraries only of
//! those that may be dbt.

pub mod arguments;
mod candidate;
mod group;
mod look;
mod wait;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use dbmux_os::{
    holders::{FileHolder, Part},
    process::{ProcessId, ProcessInfo},
};

pub use self::{
    look::Search,
    wait::{Waiting, wait_for_dbt_completion},
};
use crate::{DbtError, Whom};

/// What kind of find it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An editor's language server.
    LanguageServer,
    /// A program that has dbt in it, waits for requests, and keeps files of the project open.
    IdleHolding,
    /// dbt with a command that opens no database: `parse`, `ls`, `deps`, `clean`.
    ParseOnly,
    /// It may work on the project, and what would tell may not be seen.
    Unknown,
    /// dbt with a command that may open the database.
    Running,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LanguageServer => "language server",
            Self::IdleHolding => "idle, but holding",
            Self::ParseOnly => "parse only",
            Self::Unknown => "unknown",
            Self::Running => "running",
        })
    }
}

/// How a process says that its project is this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectBy {
    /// By `--project-dir`.
    Option(PathBuf),
    /// By `DBT_PROJECT_DIR` in its environment.
    Variable(PathBuf),
    /// By where it is; `None`: it is told by a file that it has open.
    Directory(Option<PathBuf>),
    /// That may not be seen.
    Unseen,
}

/// Why a process is taken for dbt in this project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// It has the lock on one of the project's DuckDB files, or on its `.wal`.
    Lock {
        /// The database.
        database: PathBuf,
        /// Which of its files.
        part: Part,
    },
    /// It appends to the project's log.
    Log {
        /// The log, as the process calls it.
        path: PathBuf,
    },
    /// dbt is loaded in it.
    Loaded,
    /// Its arguments.
    Arguments {
        /// `dbt run`, …
        says: String,
        /// How they lead to this project.
        project: ProjectBy,
    },
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock { database, part } => write!(f, "it has the lock on {} ({part})", database.display()),
            Self::Log { path } => write!(f, "it writes {}", path.display()),
            Self::Loaded => f.write_str("dbt is loaded in it"),
            Self::Arguments { says, project } => {
                write!(f, "its arguments: {says}")?;
                match project {
                    ProjectBy::Option(path) => write!(f, ", --project-dir {}", path.display()),
                    ProjectBy::Variable(path) => write!(f, ", DBT_PROJECT_DIR={}", path.display()),
                    ProjectBy::Directory(Some(path)) => write!(f, ", in {}", path.display()),
                    ProjectBy::Directory(None) => Ok(()),
                    ProjectBy::Unseen => f.write_str(", in a project that may not be seen"),
                }
            }
        }
    }
}

/// A dbt that is at this project: one run, with all of its processes.
#[derive(Debug, Clone)]
pub struct Find {
    /// dbt itself; its wrapper where dbt has not been started yet.
    pub process: ProcessInfo,
    /// What kind it is.
    pub kind: Kind,
    /// Why, the strongest first.
    pub evidence: Vec<Evidence>,
    /// All processes of the same run that are known, dbt first: those that started it, and those that it started.
    pub processes: Vec<ProcessId>,
    /// Those of them that have dbt in them, and may go on when they are in nobody's way any more.
    pub(crate) hosts: Vec<ProcessId>,
}

impl From<&Find> for Whom {
    fn from(find: &Find) -> Self {
        let process = &find.process;
        Self {
            pid: process.id.pid,
            command: shortly(&process.command),
            user: process.user.clone(),
            since: humantime::format_rfc3339_seconds(process.started).to_string(),
            held_ms: u64::try_from(process.age().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// `/srv/venv/bin/python3 /srv/venv/bin/dbt run` is `dbt run` to a person.
fn shortly(command: &str) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    let is_dbt = |word: &&str| Path::new(word).file_name().is_some_and(|name| name == "dbt" || name == "dbt.exe");
    match words.iter().take(2).position(is_dbt) {
        Some(at) => std::iter::once("dbt").chain(words[at + 1..].iter().copied()).collect::<Vec<_>>().join(" "),
        None => command.to_owned(),
    }
}

impl Find {
    /// Whether it has the lock on one of the project's DuckDB files.
    pub fn has_the_lock(&self) -> bool {
        self.evidence.iter().any(|evidence| matches!(evidence, Evidence::Lock { .. }))
    }

    /// Whether another dbt must wait for it: not for an editor that merely keeps dbt ready and has nothing locked.
    pub fn is_in_the_way(&self) -> bool {
        match self.kind {
            Kind::Running | Kind::ParseOnly | Kind::Unknown => true,
            Kind::IdleHolding | Kind::LanguageServer => self.has_the_lock(),
        }
    }
}

/// A process that was looked at more closely.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Which.
    pub process: ProcessInfo,
    /// What it is; `Err`: why it is no dbt at this project.
    pub verdict: Result<Kind, String>,
    /// What was seen of it.
    pub evidence: Vec<Evidence>,
    /// What it is to a run.
    pub(crate) part: PartOfRun,
}

/// What a process is to a run of dbt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartOfRun {
    /// dbt itself: it ends with the run.
    Dbt,
    /// Around dbt: it makes an environment ready for it.
    Around,
    /// dbt is in it: it may go on when the run has ended.
    Host,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Each dbt that is at this project; those that are in the way first.
    pub finds: Vec<Find>,
    /// Every process that was looked at more closely, and why it is a find, or none.
    pub candidates: Vec<Candidate>,
    /// Who has the lock on the project's DuckDB files, and is not known to be dbt.
    pub other_holders: Vec<FileHolder>,
    /// How many processes there are.
    pub processes: usize,
    /// Why processes of others, or all of them, could not be looked at; the project's lock and the leases must do.
    pub blind: Option<Blind>,
}

/// Why processes could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blind {
    /// The system lists none.
    All(String),
    /// Those of other users are hidden, or do not tell what they run; how many of these there are.
    Others(usize),
}

impl fmt::Display for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot check for running dbt processes")?;
        match self {
            Self::All(why) => write!(f, ": {why}"),
            Self::Others(_) => f.write_str(" of other users: the system hides them"),
        }
    }
}

impl Found {
    /// Those for which another dbt must wait.
    pub fn in_the_way(&self) -> impl Iterator<Item = &Find> {
        self.finds.iter().filter(|find| find.is_in_the_way())
    }

    /// Whether a dbt runs for which another one must wait.
    pub fn is_dbt_running(&self) -> bool {
        self.in_the_way().next().is_some()
    }
}

/// Finds the dbt processes at a project. `root`: its directory. `databases`: its DuckDB files. `ours`: processes that are no
/// find, with all that they have started.
///
/// # Errors
/// When the project's directory cannot be looked at. That no process can be is no error: see [`Found::blind`].
pub fn find(root: &Path, databases: &[PathBuf], ours: &[ProcessId]) -> Result<Found, DbtError> {
    let search = Search::new(root).databases(databases.iter().cloned());
    ours.iter().fold(search, |search, process| search.without_tree(*process)).look()
}

/// Whether a dbt runs at a project, for which another one must wait. Where processes cannot be looked at, that is logged as
/// a warning, and the answer is of those that can.
///
/// # Errors
/// As [`find`].
pub fn is_dbt_running(search: &Search) -> Result<bool, DbtError> {
    let found = search.look()?;
    if let Some(blind) = &found.blind {
        tracing::warn!("{blind}");
    }
    Ok(found.is_dbt_running())
}
