//! What a session attaches beside its database: read-only copies of other DuckDB files, and databases in memory.
//!
//! A broker is the owner of one file only. Another one is copied, while a lock keeps its writers out, and the copy is
//! attached under a name that this session alone knows; nobody waits for anybody here, so two brokers that attach each
//! other's file cannot block each other. The copy is unlinked as soon as it is open: nothing is left behind.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use dbmux_engine::EngineError;
use dbmux_os::{
    file_kind::{self, FileKind},
    holders::{self, Who},
    range_lock::{self, Kind},
};

use crate::{
    errors,
    facts::{Fact, Known},
    ffi::Connection,
    name::catalog_name,
};

/// An `ATTACH` that this crate carries out itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attach {
    name: String,
    /// `None`: in memory.
    path: Option<PathBuf>,
    if_missing: bool,
    replace: bool,
}

/// How often it is looked who has a file: they may let go while they are looked for.
const LOOKS: usize = 3;

/// Numbers the copies of this process.
static COPIES: AtomicU64 = AtomicU64::new(1);

impl Attach {
    /// The `ATTACH` in these facts, if there is one; refuses what cannot be carried out.
    pub(crate) fn of(facts: &[Fact], directory: Option<&Path>) -> Result<Option<Self>, EngineError> {
        let found = facts.iter().find_map(|fact| match fact {
            Fact::Attach { name, path, conflict } => Some((name, path, *conflict)),
            _ => None,
        });
        let Some((name, path, conflict)) = found else {
            return Ok(None);
        };
        let Known::Text(text) = path else {
            let (Known::Text(text) | Known::Expression(text)) = path;
            return Err(refused(format!("ATTACH {text}"), "the path has to be written out"));
        };
        let in_memory = text.is_empty() || text == ":memory:";
        let read_only = options(text, facts)?;
        if !in_memory && !read_only {
            let why = format!(
                "another file is attached as a copy, to read: add (READ_ONLY); to write to it, use a session of its own: \
                 `dbmux sql {text}`"
            );
            return Err(refused(format!("ATTACH '{text}'"), &why));
        }
        let path = if in_memory { None } else { Some(resolve(text, directory)?) };
        let name = match (name.is_empty(), &path) {
            (false, _) => name.clone(),
            (true, None) => "memory".to_owned(),
            (true, Some(path)) => catalog_name(path).0,
        };
        Ok(Some(Self { name, path, if_missing: conflict == 1, replace: conflict == 2 }))
    }

    /// The name that the session knows it by.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Attaches it; says whether it had to. `scratch` is a directory for the copy.
    pub(crate) fn execute(
        &self,
        connection: &Connection,
        attached: &[String],
        scratch: &Path,
    ) -> Result<bool, EngineError> {
        let failed = |failure| errors::statement(&failure);
        if attached.iter().any(|name| name.eq_ignore_ascii_case(&self.name)) {
            if self.if_missing {
                return Ok(false);
            }
            if self.replace {
                connection.detach_own(Some(&self.name)).map_err(failed)?;
            }
        }
        let Some(source) = &self.path else {
            connection.attach_own(&self.name, ":memory:", false).map_err(failed)?;
            return Ok(true);
        };
        let copy = Copy::make(source, scratch)?;
        connection.attach_own(&self.name, &copy.database.to_string_lossy(), true).map_err(failed)?;
        Ok(true)
    }
}

/// Whether the options say read-only; others than that are not for us.
fn options(path: &str, facts: &[Fact]) -> Result<bool, EngineError> {
    let mut read_only = false;
    for fact in facts {
        let Fact::AttachOption { name, value } = fact else { continue };
        let (Known::Text(value) | Known::Expression(value)) = value;
        let yes = matches!(value.to_lowercase().as_str(), "true" | "1" | "on" | "yes" | "");
        match name.as_str() {
            "read_only" | "readonly" => read_only = yes,
            "read_write" | "readwrite" => read_only = !yes,
            "type" if value.eq_ignore_ascii_case("duckdb") => {}
            _ => {
                return Err(EngineError::Unsupported {
                    what: format!("ATTACH '{path}' ({name} {value})"),
                    why: "only DuckDB files are attached, with READ_ONLY and no other option".to_owned(),
                });
            }
        }
    }
    Ok(read_only)
}

/// Where the path leads for the client.
fn resolve(text: &str, directory: Option<&Path>) -> Result<PathBuf, EngineError> {
    let path = Path::new(text.strip_prefix("file://").unwrap_or(text));
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    if text.contains(':') || text.starts_with('~') {
        return Err(EngineError::Unsupported {
            what: format!("ATTACH '{text}'"),
            why: "only DuckDB files on this machine are attached, by their path".to_owned(),
        });
    }
    match directory {
        Some(directory) => Ok(directory.join(path)),
        None => Err(refused(
            format!("the relative path \"{text}\""),
            "the client did not tell its working directory: give an absolute path",
        )),
    }
}

/// A private copy of a database, gone when this is dropped (an open one stays readable).
struct Copy {
    folder: PathBuf,
    database: PathBuf,
}

impl Copy {
    fn make(source: &Path, scratch: &Path) -> Result<Self, EngineError> {
        let what = || format!("ATTACH '{}'", source.display());
        let file = File::open(source).map_err(|error| match error.kind() {
            // The wall's answer, or the system's: the first is the likely one, and both are told.
            io::ErrorKind::PermissionDenied => {
                refused(what(), "it is the attached database itself, or it may not be read")
            }
            io::ErrorKind::NotFound => EngineError::Sql {
                message: format!("cannot attach {}: there is no such file", source.display()),
                sqlstate: "58P01",
            },
            _ => unreadable(source, &error),
        })?;
        if let Some(writer) = keep_writers_out(&file, source)? {
            let file = source.display();
            let why = format!("{writer} is writing to it; wait until it is done: `dbmux who {file}` shows who has it");
            return Err(refused(what(), &why));
        }
        check_magic(&file, source)?;
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
        let folder = scratch.join(format!("attached-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| unreadable(&folder, &error))?;
        let copy = Self { database: folder.join("copy.duckdb"), folder };
        let log = with_suffix(source, ".wal");
        copy_file(source, &copy.database)?;
        if log.exists() {
            copy_file(&log, &with_suffix(&copy.database, ".wal"))?;
        }
        // The lock ends with the file, after both copies are made.
        drop(file);
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, folder = %self.folder.display(), "a copy could not be removed");
        }
    }
}

/// Locks one byte of each half that a DuckDB, or a broker's, locks to write: until the file is closed. Answers with who
/// has it already.
fn keep_writers_out(file: &File, path: &Path) -> Result<Option<String>, EngineError> {
    let locked = |byte| range_lock::try_lock(file, byte, Kind::Shared).map_err(|error| unreadable(path, &error));
    for _ in 0..LOOKS {
        if locked(0)? && locked(1 << 62)? {
            return Ok(None);
        }
        if let Some(writer) = holder(path) {
            return Ok(Some(writer));
        }
        // Nobody: it was let go in between.
    }
    Ok(Some("somebody".to_owned()))
}

fn copy_file(from: &Path, to: &Path) -> Result<(), EngineError> {
    match fs::copy(from, to) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::StorageFull => {
            Err(EngineError::DiskFull { message: format!("copying {}: {error}", from.display()) })
        }
        Err(error) => Err(unreadable(from, &error)),
    }
}

fn check_magic(mut file: &File, path: &Path) -> Result<(), EngineError> {
    let mut start = [0; file_kind::LENGTH];
    let length = file.read(&mut start).map_err(|error| unreadable(path, &error))?;
    match FileKind::of(&start[..length]) {
        FileKind::DuckDb | FileKind::Empty => Ok(()),
        other => {
            let why = format!("it is {}, not a DuckDB database", other.title());
            Err(refused(format!("ATTACH '{}'", path.display()), &why))
        }
    }
}

/// Whoever has the file, as a person would name it.
fn holder(path: &Path) -> Option<String> {
    let found = holders::holders_of(path).unwrap_or_default();
    found.iter().find_map(|holder| match &holder.who {
        Who::Process(info) => Some(format!("{} (pid {})", info.command, info.id.pid)),
        _ => None,
    })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    PathBuf::from(text)
}

fn refused(what: impl Into<String>, why: &str) -> EngineError {
    EngineError::Refused { what: what.into(), why: why.to_owned() }
}

fn unreadable(path: &Path, error: &dyn std::error::Error) -> EngineError {
    EngineError::Io { path: path.to_owned(), message: error.to_string() }
}
