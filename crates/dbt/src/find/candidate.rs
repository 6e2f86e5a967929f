//! One process that may be dbt, looked at more closely.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use dbmux_os::{
    OsError,
    file_id::FileId,
    holders::Part,
    process,
    view::{self, Activity, Sight, Unseen},
};

use super::{
    Candidate, Evidence, Kind, PartOfRun, ProjectBy, Search,
    arguments::{self, Invocation, Place, Reading, Work},
    look::{self, file},
};
use crate::DbtError;

/// The library that dbt brings along, and that is loaded wherever dbt is imported.
const LIBRARY: &str = "dbt_extractor";
/// Where dbt's project is written down.
const PROJECT_FILE: &str = "dbt_project.yml";
/// The variable that names the project, in its new and its old spelling.
const VARIABLES: [&str; 2] = ["DBT_ENGINE_PROJECT_DIR", "DBT_PROJECT_DIR"];
/// Directories above one another that are looked at: more than any real path has.
const DEEPEST: usize = 64;

/// What came of a look.
#[derive(Debug)]
pub(super) enum Looked {
    Candidate(Candidate),
    /// It does not tell what it runs.
    Refused,
}

/// A look's project, by its files.
#[derive(Debug)]
pub(super) struct Looker {
    root: FileId,
    logs: Vec<FileId>,
    /// Databases that are called so from each process's own directory.
    relative: Vec<PathBuf>,
}

/// What is known of one process.
struct Look<'a> {
    pid: u32,
    reading: Reading,
    locks: &'a [(PathBuf, Part)],
    evidence: Vec<Evidence>,
}

impl Looker {
    pub(super) fn new(search: &Search) -> Result<Self, DbtError> {
        let id = |path: &Path| FileId::of_path(path);
        let root = id(&search.root).map_err(|source| OsError::Path {
            operation: "look at",
            path: search.root.clone(),
            source,
        })?;
        let logs = search.logs.iter().filter_map(|path| id(path).ok()).collect();
        Ok(Self { root, logs, relative: search.relative.clone() })
    }

    /// Looks; `None`: it is of no interest at all, or has ended.
    pub(super) fn look(
        &self,
        pid: u32,
        words: &[OsString],
        reading: Reading,
        locks: &[(PathBuf, Part)],
    ) -> Option<Looked> {
        let own = if locks.is_empty() { self.own_locks(pid, &reading) } else { Vec::new() };
        let locks = if locks.is_empty() { &own } else { locks };
        let names = matches!(reading, Reading::Python | Reading::Other) && locks.is_empty();
        let part = match reading {
            Reading::Starts { .. } => PartOfRun::Around,
            Reading::Dbt(_) => PartOfRun::Dbt,
            _ => PartOfRun::Host,
        };
        let mut look = Look { pid, reading, locks, evidence: Vec::new() };
        look.evidence
            .extend(locks.iter().map(|(database, part)| Evidence::Lock { database: database.clone(), part: *part }));
        let verdict = match self.judge(&mut look) {
            Ok(verdict) => verdict,
            Err(Unseen::Gone) => return None,
            Err(Unseen::Refused) => Ok(Kind::Unknown),
        };
        // Python that has nothing to do with dbt, and others' arguments with these letters in them.
        if names && verdict.is_err() && look.evidence.is_empty() && !self.looks_like_it(pid, words) {
            return None;
        }
        let process = process::info(pid).ok()?;
        Some(Looked::Candidate(Candidate { process, verdict, evidence: look.evidence, part }))
    }

    /// The locks that a process of this project has on its own files: those that the profile names relative to wherever dbt
    /// runs. Another project's may have the same names, so the process must be known to be of this one.
    fn own_locks(&self, pid: u32, reading: &Reading) -> Vec<(PathBuf, Part)> {
        let own = look::own_locks(&self.relative, pid);
        let dbt = match reading {
            Reading::Dbt(dbt) | Reading::LanguageServer(dbt) | Reading::Starts { dbt, .. } => Some(dbt),
            _ => None,
        };
        let is_ours = || {
            self.project_of(pid, dbt).is_ok_and(|project| project.is_ok())
                || self.log(pid).is_ok_and(|log| log.is_some())
        };
        if own.is_empty() || !is_ours() { Vec::new() } else { own }
    }

    /// What a person would take for dbt here: by a word of its arguments, in this project.
    fn looks_like_it(&self, pid: u32, words: &[OsString]) -> bool {
        words.iter().any(says_dbt) && self.above(pid).is_ok_and(|project| project.is_ok())
    }

    fn judge(&self, look: &mut Look<'_>) -> Sight<Result<Kind, String>> {
        match look.reading.clone() {
            Reading::Dbt(dbt) => self.by_arguments(look, &dbt, kind(&dbt), format!("dbt {}", dbt.command)),
            Reading::Starts { program, dbt } => {
                let says = format!("{program} runs dbt {}", dbt.command);
                self.by_arguments(look, &dbt, kind(&dbt), says)
            }
            Reading::LanguageServer(server) => {
                self.by_arguments(look, &server, Kind::LanguageServer, "a language server of dbt".to_owned())
            }
            Reading::Harmless(why) if look.locks.is_empty() => Ok(Err(why.to_owned())),
            Reading::Harmless(_) => Ok(Ok(Kind::Running)),
            Reading::Keeper(what) => self.keeper(look, what),
            Reading::Python | Reading::Other => self.host(look),
        }
    }

    /// dbt by its arguments: is its project this one?
    fn by_arguments(
        &self,
        look: &mut Look<'_>,
        dbt: &Invocation,
        kind: Kind,
        says: String,
    ) -> Sight<Result<Kind, String>> {
        match self.project_of(look.pid, Some(dbt)) {
            Ok(Ok(project)) => {
                // Where that may not be seen, the arguments say enough.
                look.evidence.extend(self.log(look.pid).ok().flatten().map(|path| Evidence::Log { path }));
                look.evidence.push(Evidence::Arguments { says, project });
                Ok(Ok(kind))
            }
            // Of another project, and yet it has this one's file.
            Ok(Err(_)) if !look.locks.is_empty() => Ok(Ok(kind)),
            Ok(Err(other)) => Ok(Err(format!("{says}, {other}"))),
            Err(Unseen::Refused) => {
                look.evidence.push(Evidence::Arguments { says, project: ProjectBy::Unseen });
                Ok(Ok(Kind::Unknown))
            }
            Err(Unseen::Gone) => Err(Unseen::Gone),
        }
    }

    /// A program that keeps dbt imported: it counts while it works, and while it holds something.
    fn keeper(&self, look: &mut Look<'_>, what: &'static str) -> Sight<Result<Kind, String>> {
        if let Some(kind) = self.holding(look)? {
            return Ok(Ok(kind));
        }
        match self.project_of(look.pid, None)? {
            Ok(_) if view::activity(look.pid)? == Activity::Waits => {
                Ok(Err(format!("{what}: it waits for requests, and holds nothing")))
            }
            Ok(project) => {
                look.evidence.push(Evidence::Arguments { says: format!("{what}, at work"), project });
                Ok(Ok(Kind::Running))
            }
            Err(other) => Ok(Err(format!("{what}, {other}"))),
        }
    }

    /// A program that may have dbt in it.
    fn host(&self, look: &mut Look<'_>) -> Sight<Result<Kind, String>> {
        if let Some(kind) = self.holding(look)? {
            return Ok(Ok(kind));
        }
        Ok(Err(match (look.locks.is_empty(), &look.reading) {
            (false, _) => "it has the lock, and no dbt in it".to_owned(),
            (true, Reading::Python) => "Python, that holds nothing of this project".to_owned(),
            (true, _) => "another program, with dbt in its arguments".to_owned(),
        }))
    }

    /// dbt inside of another program: by the project's log, or by the lock and dbt's library.
    fn holding(&self, look: &mut Look<'_>) -> Sight<Option<Kind>> {
        if matches!(look.reading, Reading::Other) && look.locks.is_empty() {
            return Ok(None);
        }
        match self.log(look.pid) {
            Ok(Some(path)) => look.evidence.push(Evidence::Log { path }),
            // Another user's Python that has nothing of ours: there is always some.
            Err(Unseen::Refused) if look.locks.is_empty() => return Ok(None),
            Ok(None) | Err(Unseen::Refused) => match view::has_loaded(look.pid, LIBRARY) {
                Ok(true) if !look.locks.is_empty() => look.evidence.push(Evidence::Loaded),
                Ok(_) => return Ok(None),
                // Python, with the lock: dbt may well be in it.
                Err(Unseen::Refused) if !matches!(look.reading, Reading::Other) => return Ok(Some(Kind::Unknown)),
                Err(Unseen::Refused) => return Ok(None),
                Err(Unseen::Gone) => return Err(Unseen::Gone),
            },
            Err(Unseen::Gone) => return Err(Unseen::Gone),
        }
        Ok(Some(match view::activity(look.pid) {
            Ok(Activity::Waits) => Kind::IdleHolding,
            Ok(Activity::Busy) => Kind::Running,
            Err(Unseen::Refused) => Kind::Unknown,
            Err(Unseen::Gone) => return Err(Unseen::Gone),
        }))
    }

    /// The project's log, if the process appends to it by a descriptor of its own: one that was given to it as its output is
    /// a redirection, and who only reads is a reader.
    fn log(&self, pid: u32) -> Sight<Option<PathBuf>> {
        for open in view::open_files(pid)? {
            let name = open.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            // An older one, that was renamed while it was open, too.
            if open.number > 2
                && name.starts_with("dbt.log")
                && view::appends(pid, open.number)?
                && self.is_ours(pid, &open.path)?
            {
                return Ok(Some(open.path));
            }
        }
        Ok(None)
    }

    /// Whether a log is this project's: by its directory; or, where that is no project's own, by the process's project.
    fn is_ours(&self, pid: u32, log: &Path) -> Sight<bool> {
        let Some(directory) = log.parent() else { return Ok(false) };
        if file(&view::reach(pid, directory))?.is_some_and(|id| self.logs.contains(&id)) {
            return Ok(true);
        }
        let beside = directory.parent().unwrap_or(directory);
        match file(&view::reach(pid, beside))? {
            Some(id) if id == self.root => Ok(true),
            _ if file(&view::reach(pid, &beside.join(PROJECT_FILE)))?.is_some() => Ok(false),
            _ => Ok(self.project_of(pid, None)?.is_ok()),
        }
    }

    /// How a process's project is this one; the inner `Err`: which other one it is.
    fn project_of(&self, pid: u32, dbt: Option<&Invocation>) -> Sight<Result<ProjectBy, String>> {
        let given = dbt.and_then(|dbt| dbt.project_dir.as_ref());
        let variable = match given {
            Some(_) => None,
            None => {
                let [new, old] = view::variables(pid, VARIABLES)?;
                new.or(old)
            }
        };
        match arguments::place(dbt, variable) {
            Place::Option(path) => self.directory(pid, &path).map(|is| match is {
                true => Ok(ProjectBy::Option(path)),
                false => Err(format!("of another project: --project-dir {}", path.display())),
            }),
            Place::Variable(path) => self.directory(pid, &path).map(|is| match is {
                true => Ok(ProjectBy::Variable(path)),
                false => Err(format!("of another project: DBT_PROJECT_DIR={}", path.display())),
            }),
            Place::Above => self.above(pid),
        }
    }

    /// Whether what a process calls so is the project's directory.
    fn directory(&self, pid: u32, path: &Path) -> Sight<bool> {
        match file(&view::reach(pid, path)) {
            // What it calls so from its own root may not be seen; from ours, it is most likely the same.
            Err(Unseen::Refused) if path.is_absolute() => Ok(file(path)? == Some(self.root)),
            id => Ok(id? == Some(self.root)),
        }
    }

    /// Whether the nearest project above a process's directory is this one.
    fn above(&self, pid: u32) -> Sight<Result<ProjectBy, String>> {
        let place = view::working_directory(pid)?;
        let mut directory = view::reach(pid, Path::new("."));
        let mut before = None;
        for _ in 0..DEEPEST {
            let id = file(&directory)?;
            if id.is_none() || id == before {
                break;
            }
            if file(&directory.join(PROJECT_FILE))?.is_some() {
                return Ok(if id == Some(self.root) {
                    Ok(ProjectBy::Directory(Some(place)))
                } else {
                    Err(format!("of another project: it is in {}", place.display()))
                });
            }
            before = id;
            directory.push("..");
        }
        Ok(Err(format!("of no project: it is in {}", place.display())))
    }
}

fn kind(dbt: &Invocation) -> Kind {
    match dbt.work {
        Work::Runs => Kind::Running,
        Work::Parses => Kind::ParseOnly,
    }
}

/// `dbt`, or a word that ends in it, as people look for it by eye: worth a line in the explanation.
fn says_dbt(word: &OsString) -> bool {
    let word = word.to_string_lossy();
    word.split(|c: char| !c.is_alphanumeric()).any(|part| part.eq_ignore_ascii_case("dbt"))
}
