//! Which engine serves a path: the one whose file is there; where there is none, the one that its name says.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::ValueEnum;
use dbmux_engine::{CatalogSql, Engine, EngineError, ErrorCode, ServiceError};

use dbmux_os::file_kind::{self, DirectoryKind, FileKind};

use crate::args::{BrokerOptionArgs, EngineArg};

/// A file by the end of its name. Others, `.db` among them, may be anybody's, and are DuckDB's where nobody says otherwise.
const EXTENSIONS: [(&str, EngineArg); 4] = [
    ("duckdb", EngineArg::Duckdb),
    ("ddb", EngineArg::Duckdb),
    ("sqlite", EngineArg::Sqlite),
    ("sqlite3", EngineArg::Sqlite),
];

/// The engine of a path, which may be wished for. Opens the file: only before anything of this process has it open.
///
/// # Errors
/// When the wish and the file, or its name, say different things.
pub(crate) fn of(path: &Path, wish: Option<EngineArg>) -> Result<EngineArg, ServiceError> {
    let found = if path.is_dir() { by_layout(path) } else { by_magic(path) };
    // What is there decides, not what it is called.
    let named = by_extension(path).filter(|_| found.is_none());
    match (wish, found, named) {
        (Some(wish), Some(found), _) if wish != found => {
            Err(mismatch(path, &format!("it is a database of {}", found.title()), wish))
        }
        (Some(wish), None, Some(named)) if wish != named => {
            Err(mismatch(path, &format!("its name is that of a database of {}", named.title()), wish))
        }
        (wish, found, named) => Ok(wish.or(found).or(named).unwrap_or(EngineArg::Duckdb)),
    }
}

fn by_magic(path: &Path) -> Option<EngineArg> {
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(file_kind::LENGTH as u64).read_to_end(&mut start)).ok()?;
    match FileKind::of(&start) {
        FileKind::DuckDb => Some(EngineArg::Duckdb),
        FileKind::Sqlite => Some(EngineArg::Sqlite),
        FileKind::Empty | FileKind::Other(_) => None,
    }
}

/// A directory with tables of LanceDB's. One with nothing in it may become anything that is a directory.
fn by_layout(directory: &Path) -> Option<EngineArg> {
    let kind = DirectoryKind::of(directory).ok()?;
    (kind == DirectoryKind::Lance).then_some(EngineArg::Lance)
}

fn by_extension(path: &Path) -> Option<EngineArg> {
    if file_kind::may_become_lance(path) {
        return Some(EngineArg::Lance);
    }
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    EXTENSIONS.into_iter().find(|(known, _)| *known == extension).map(|(_, engine)| engine)
}

fn mismatch(path: &Path, what: &str, wish: EngineArg) -> ServiceError {
    let text = format!("{}: {what}, and {} was asked for", path.display(), wish.title());
    let mut error =
        ServiceError::new(ErrorCode::InvalidArgument, text).suggest("leave out --engine, or name another file");
    error.0.db_path = path.display().to_string();
    error
}

impl EngineArg {
    /// As its makers write it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Duckdb => "DuckDB",
            Self::Sqlite => "SQLite",
            Self::Lance => "LanceDB",
        }
    }

    /// Refuses a path that this engine cannot serve, before a lock is laid beside it.
    pub(crate) fn check(self, path: &Path) -> Result<(), EngineError> {
        match self {
            #[cfg(feature = "duckdb")]
            Self::Duckdb => dbmux_duckdb::check_kind(path),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => dbmux_sqlite::check_kind(path),
            #[cfg(feature = "lance")]
            Self::Lance => dbmux_lance::check_kind(path),
            #[cfg(not(all(feature = "duckdb", feature = "sqlite", feature = "lance")))]
            _ => Err(self.missing()),
        }
    }

    /// Makes the engine for a path; it opens nothing.
    pub(crate) fn start(self, path: PathBuf, options: &BrokerOptionArgs) -> Result<Arc<dyn Engine>, EngineError> {
        // What only another engine has a use for.
        let _ = options;
        match self {
            #[cfg(feature = "duckdb")]
            Self::Duckdb => Ok(Arc::new(dbmux_duckdb::DuckDbEngine::new(path, duckdb_options(options))?)),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => Ok(Arc::new(dbmux_sqlite::SqliteEngine::new(path, dbmux_sqlite::SqliteOptions::default()))),
            #[cfg(feature = "lance")]
            Self::Lance => Ok(Arc::new(dbmux_lance::LanceEngine::new(path, dbmux_lance::LanceOptions::default())?)),
            #[cfg(not(all(feature = "duckdb", feature = "sqlite", feature = "lance")))]
            _ => Err(EngineError::Unsupported { what: path.display().to_string(), why: self.missing().to_string() }),
        }
    }

    /// Its databases are copied by the engine's own way, whoever writes meanwhile; else the file is, while its broker keeps
    /// it still.
    pub(crate) fn copies_by_itself(self) -> bool {
        matches!(self, Self::Sqlite | Self::Lance)
    }

    /// Copies a database by its engine's own way, of one moment, to a path where nothing is yet.
    pub(crate) fn back_up(self, source: &Path, target: &Path) -> Result<(), EngineError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite => dbmux_sqlite::back_up(source, target),
            #[cfg(feature = "lance")]
            Self::Lance => dbmux_lance::back_up(source, target),
            _ => Err(EngineError::Unsupported {
                what: format!("copying {} to {}", source.display(), target.display()),
                why: format!("{} has no way of its own in this dbmux", self.title()),
            }),
        }
    }

    /// How a database of this engine is asked what there is.
    fn catalog(self) -> Option<CatalogSql> {
        match self {
            #[cfg(feature = "duckdb")]
            Self::Duckdb => Some(dbmux_duckdb::CATALOG),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => Some(dbmux_sqlite::CATALOG),
            #[cfg(feature = "lance")]
            Self::Lance => Some(dbmux_lance::CATALOG),
            #[cfg(not(all(feature = "duckdb", feature = "sqlite", feature = "lance")))]
            _ => None,
        }
    }

    #[cfg(not(all(feature = "duckdb", feature = "sqlite", feature = "lance")))]
    fn missing(self) -> EngineError {
        let why = format!("this dbmux was built without {}", self.title());
        EngineError::Unsupported { what: "the database".to_owned(), why }
    }
}

/// How a database is asked what there is, by the name of its engine as a broker tells it.
pub(crate) fn catalog(engine: &str) -> Option<CatalogSql> {
    named(engine)?.catalog()
}

/// By its name, as a broker tells it.
pub(crate) fn named(engine: &str) -> Option<EngineArg> {
    EngineArg::from_str(engine, true).ok()
}

#[cfg(feature = "duckdb")]
fn duckdb_options(args: &BrokerOptionArgs) -> dbmux_duckdb::DuckDbOptions {
    dbmux_duckdb::DuckDbOptions {
        storage_version: args.storage_version.clone(),
        threads: args.threads,
        memory_limit: args.memory_limit.clone(),
        install_extensions: args.install_extensions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_what_is_in_it_and_else_what_it_is_called() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str, inside: &str| {
            std::fs::create_dir_all(folder.path().join(name).join(inside)).expect("a directory");
            folder.path().join(name)
        };
        assert_eq!(of(&at("a.sqlite", "t.lance/_versions"), None).ok(), Some(EngineArg::Lance));
        assert_eq!(of(&at("b.lancedb", ""), None).ok(), Some(EngineArg::Lance));
        assert_eq!(of(&at("c", ""), Some(EngineArg::Lance)).ok(), Some(EngineArg::Lance));
        let error = of(&at("d", "t.lance/_versions"), Some(EngineArg::Duckdb)).expect_err("another engine's");
        assert!(error.0.message.contains("LanceDB") && error.0.message.contains("DuckDB"), "{error}");
    }

    #[test]
    fn a_path_is_what_is_there_and_else_what_it_is_called() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            if !bytes.is_empty() {
                std::fs::write(&path, bytes).expect("a file");
            }
            path
        };
        let duck: &[u8] = b"12345678DUCK....";
        let lite: &[u8] = b"SQLite format 3\0";
        for (name, bytes, wish, expected) in [
            ("a.duckdb", b"".as_slice(), None, Ok(EngineArg::Duckdb)),
            ("b.db", b"", None, Ok(EngineArg::Duckdb)),
            ("c.db", b"", Some(EngineArg::Sqlite), Ok(EngineArg::Sqlite)),
            ("d", b"", None, Ok(EngineArg::Duckdb)),
            ("e.SQLite3", b"", None, Ok(EngineArg::Sqlite)),
            ("f.duckdb", lite, None, Ok(EngineArg::Sqlite)),
            ("g.sqlite", duck, None, Ok(EngineArg::Duckdb)),
            ("h.sqlite", duck, Some(EngineArg::Duckdb), Ok(EngineArg::Duckdb)),
            ("i.db", lite, Some(EngineArg::Duckdb), Err(["SQLite", "DuckDB"])),
            ("j.duckdb", b"", Some(EngineArg::Sqlite), Err(["DuckDB", "SQLite"])),
            ("k.lancedb", b"", None, Ok(EngineArg::Lance)),
            ("K.LanceDB", b"", None, Ok(EngineArg::Lance)),
            ("l.lance", b"", Some(EngineArg::Sqlite), Err(["LanceDB", "SQLite"])),
            ("m.lancedb", lite, None, Ok(EngineArg::Sqlite)),
        ] {
            match (of(&at(name, bytes), wish), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name}"),
                (Err(error), Err(both)) => assert!(both.iter().all(|word| error.0.message.contains(word)), "{error}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }
}
