//! One look at all processes.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use dbmux_os::{
    OsError,
    file_id::FileId,
    holders::{self, FileHolder, Part, Who},
    process::ProcessId,
    view::{self, Activity, Unseen},
};

use super::{
    Blind, Candidate, Found,
    arguments::{self, Reading},
    candidate::{Looked, Looker},
    group,
};
use crate::DbtError;

/// What to look for: a project, and what is known of it.
#[derive(Debug, Clone)]
pub struct Search {
    pub(super) root: PathBuf,
    pub(super) databases: Vec<PathBuf>,
    pub(super) logs: Vec<PathBuf>,
    pub(super) relative: Vec<PathBuf>,
    without: Vec<ProcessId>,
    without_trees: Vec<ProcessId>,
}

/// The lock that a process has on one of the project's files.
pub(super) type Locks = HashMap<u32, Vec<(PathBuf, Part)>>;

impl Search {
    /// Looks for dbt at the project in this directory.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let logs = vec![root.join("logs")];
        Self { root, databases: Vec::new(), logs, relative: Vec::new(), without: Vec::new(), without_trees: Vec::new() }
    }

    /// The project's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Adds DuckDB files of the project.
    #[must_use]
    pub fn databases(mut self, databases: impl IntoIterator<Item = PathBuf>) -> Self {
        self.databases.extend(databases);
        self
    }

    /// Adds DuckDB files as the project's profile names them, relative: each process of this project has its own, below its
    /// working directory.
    #[must_use]
    pub fn relative_databases(mut self, names: impl IntoIterator<Item = PathBuf>) -> Self {
        self.relative.extend(names);
        self
    }

    /// Adds a directory where the project's log is: `log-path` of its `dbt_project.yml`, for example. `logs` is known.
    #[must_use]
    pub fn logs(mut self, directory: impl Into<PathBuf>) -> Self {
        self.logs.push(self.root.join(directory.into()));
        self
    }

    /// Leaves a process out.
    #[must_use]
    pub fn without(mut self, process: ProcessId) -> Self {
        self.without.push(process);
        self
    }

    /// Leaves a process out, and all that it has started.
    #[must_use]
    pub fn without_tree(mut self, process: ProcessId) -> Self {
        self.without_trees.push(process);
        self
    }

    /// Looks.
    ///
    /// # Errors
    /// When the project's directory cannot be looked at. That no process can be is no error: see [`Found::blind`].
    pub fn look(&self) -> Result<Found, DbtError> {
        let looker = Looker::new(self)?;
        let pids = match view::processes() {
            Ok(pids) => pids,
            Err(error) => return Ok(blind(&error)),
        };
        let (holders, locks) = match self.holders() {
            Ok(found) => found,
            Err(error) => return Ok(blind(&error)),
        };
        let mut found = Found { processes: pids.len(), ..Found::default() };
        let mut refused = 0;
        let mut buffer = Vec::new();
        for pid in pids {
            match Self::glance(pid, &mut buffer, &looker, locks.get(&pid).map_or(&[], Vec::as_slice)) {
                Some(Looked::Candidate(candidate)) if !self.leaves_out(&candidate) => found.candidates.push(candidate),
                Some(Looked::Refused) => refused += 1,
                _ => {}
            }
        }
        found.blind = (refused > 0 || view::others_are_hidden()).then_some(Blind::Others(refused));
        found.finds = group::of(&found.candidates);
        found.other_holders = holders.into_iter().filter(|holder| !is_a_find(holder, &found)).collect();
        Ok(found)
    }

    /// Who has the project's DuckDB files.
    fn holders(&self) -> Result<(Vec<FileHolder>, Locks), OsError> {
        let (mut all, mut locks) = (Vec::new(), Locks::new());
        for database in &self.databases {
            for holder in holders::holders_of(database)? {
                if let Who::Process(process) = &holder.who {
                    locks.entry(process.id.pid).or_default().push((database.clone(), holder.part));
                }
                all.push(holder);
            }
        }
        Ok((all, locks))
    }

    /// Whether a process that has dbt in it has locked one of the project's DuckDB files, or is at work. Costs less than a
    /// look; what it means, only a look tells.
    pub(super) fn may_be_in_the_way(&self, host: ProcessId) -> bool {
        dbmux_os::process::is_alive(host)
            && (view::activity(host.pid) != Ok(Activity::Waits)
                || self.holders().is_ok_and(|(_, locks)| locks.contains_key(&host.pid))
                || !own_locks(&self.relative, host.pid).is_empty())
    }

    /// Looks at one process, and more closely where its command line or a lock gives reason to.
    fn glance(pid: u32, buffer: &mut Vec<u8>, looker: &Looker, locks: &[(PathBuf, Part)]) -> Option<Looked> {
        match view::arguments_into(pid, buffer) {
            Ok(true) => {}
            Ok(false) | Err(Unseen::Gone) => return None,
            Err(Unseen::Refused) => return Some(Looked::Refused),
        }
        let names_dbt = contains_dbt(buffer);
        if !names_dbt && locks.is_empty() && !may_be_python(pid, buffer) {
            return None;
        }
        let words = view::split_arguments(buffer);
        let executable = view::executable(pid).ok();
        let reading = arguments::read(&words, executable.as_deref());
        if reading == Reading::Other && !names_dbt && locks.is_empty() {
            return None;
        }
        looker.look(pid, &words, reading, locks)
    }

    fn leaves_out(&self, candidate: &Candidate) -> bool {
        let process = candidate.process.id;
        let itself = process.pid == std::process::id();
        itself
            || self.without.contains(&process)
            || self.without_trees.iter().any(|ours| dbmux_os::process::is_inside(process.pid, *ours))
    }
}

/// The locks that a process has on files that are called so from its working directory.
pub(super) fn own_locks(names: &[PathBuf], pid: u32) -> Vec<(PathBuf, Part)> {
    let mut found = Vec::new();
    for name in names {
        // A directory that may not be seen is another user's: its lock is not seen either.
        let reached = view::reach(pid, name);
        let holders = reached.exists().then(|| holders::holders_of(&reached).ok()).flatten().unwrap_or_default();
        let is_its = |holder: &&FileHolder| matches!(&holder.who, Who::Process(process) if process.id.pid == pid);
        let place = || view::working_directory(pid).map_or_else(|_| name.clone(), |directory| directory.join(name));
        found.extend(holders.iter().filter(is_its).map(|holder| (place(), holder.part)));
    }
    found
}

fn blind(error: &OsError) -> Found {
    Found { blind: Some(Blind::All(error.to_string())), ..Found::default() }
}

fn is_a_find(holder: &FileHolder, found: &Found) -> bool {
    let Who::Process(process) = &holder.who else { return false };
    found.candidates.iter().any(|candidate| candidate.process.id == process.id && candidate.verdict.is_ok())
}

/// Whether `dbt` stands anywhere, in letters of any size. Everything that is dbt by its arguments has it; most processes are
/// done with here.
fn contains_dbt(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|window| window.eq_ignore_ascii_case(b"dbt"))
}

/// Whether Python runs, whatever the process calls itself.
fn may_be_python(pid: u32, arguments: &[u8]) -> bool {
    let first = arguments.split(|byte| *byte == 0).next().unwrap_or_default();
    let named = |path: &Path| path.file_name().and_then(|name| name.to_str()).is_some_and(arguments::is_python);
    named(Path::new(String::from_utf8_lossy(first).as_ref())) || view::executable(pid).is_ok_and(|path| named(&path))
}

/// The file that a path names; `Err`: it may not be seen.
pub(super) fn file(path: &Path) -> Result<Option<FileId>, Unseen> {
    match FileId::of_path(path) {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(Unseen::Refused),
        Err(_) => Ok(None),
    }
}
