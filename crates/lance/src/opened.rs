//! A directory of tables that is open now: LanceDB's connection to it, and the tables that statements have used.
//!
//! A table is opened once, and looks for a newer version at each statement, whoever made it. One that was dropped and made
//! again beside us is known by its directory's inode, and opened anew. Ours write to a table one after the other, so that
//! two `merge_insert`s of one key do not both find it missing.

use std::{
    collections::HashMap,
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicUsize},
    time::{Duration, SystemTime},
};

use dbmux_engine::{Access, Attachment, EngineError};
use dbmux_os::file_kind::LANCE_TABLE;
use lance::dataset::{ReadParams, WriteParams};
use lancedb::{
    Connection, Table,
    datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
};
use parking_lot::Mutex;

use crate::{
    commit::{Committer, Ledger},
    errors,
    options::LanceOptions,
};

/// What SQL may take however little is free, in bytes.
const LEAST_MEMORY: usize = 256 << 20;

/// Checked-out versions that are kept open.
const VERSIONS: usize = 64;

/// A table, and whose turn it is to write to it.
pub(crate) struct Writable {
    pub(crate) table: Table,
    pub(crate) committer: Arc<Committer>,
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Commits since somebody last looked whether it has many small files.
    pub(crate) commits: AtomicUsize,
    /// What the next operation is to be told: a version that no operation has asked for could not be synced.
    pub(crate) fault: Mutex<Option<EngineError>>,
    inode: u64,
    /// Kept open: its inode is nobody else's for as long.
    _directory: File,
}

/// A version of a table: its name, its directory's inode, and the version's number.
type Version = (String, u64, u64);

/// Which version of a table a statement reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Latest,
    Version(u64),
}

/// An open directory; closed with its last use.
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    pub(crate) attachment: Attachment,
    connection: Connection,
    pub(crate) options: LanceOptions,
    ledger: Arc<Ledger>,
    /// What all SQL together may take: what is sorted or grouped beyond it goes to temporary files.
    memory: Arc<RuntimeEnv>,
    /// Kept open: its inode is nobody else's for as long.
    _directory: File,
    tables: Mutex<HashMap<String, Arc<Writable>>>,
    /// Versions that sessions have checked out, and their tables' directories, kept open as above.
    versions: Mutex<HashMap<Version, (Table, File)>>,
    /// One table is made or dropped at a time.
    pub(crate) catalog: tokio::sync::Mutex<()>,
}

/// The tables as they were at a moment.
pub(crate) struct StandIn {
    pub(crate) as_of: SystemTime,
    tables: HashMap<String, Table>,
    /// What they read through.
    opened: Arc<Opened>,
}

/// What a statement reads.
#[derive(Clone)]
pub(crate) enum Source {
    File(Arc<Opened>),
    Copy(Arc<StandIn>),
}

impl Opened {
    pub(crate) async fn open(
        path: &Path,
        attachment: Attachment,
        options: LanceOptions,
        ledger: Arc<Ledger>,
    ) -> Result<Self, EngineError> {
        let Some(text) = path.to_str() else {
            return Err(EngineError::Unsupported {
                what: format!("the path {}", path.display()),
                why: "LanceDB takes UTF-8 only; rename the directory".to_owned(),
            });
        };
        let connecting = lancedb::connect(text).read_consistency_interval(Duration::ZERO).execute();
        let connection = connecting.await.map_err(|error| errors::of(&error, path))?;
        Ok(Self {
            path: path.to_owned(),
            attachment,
            connection,
            options,
            ledger,
            memory: memory()?,
            _directory: open_directory(path)?,
            tables: Mutex::default(),
            versions: Mutex::default(),
            catalog: tokio::sync::Mutex::default(),
        })
    }

    pub(crate) fn error(&self, error: lancedb::Error) -> EngineError {
        errors::of(&error, &self.path)
    }

    /// Where a table of this name is.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.{LANCE_TABLE}"))
    }

    /// The names of all tables, in order. What was left of one whose making was cut short is none.
    pub(crate) async fn names(&self) -> Result<Vec<String>, EngineError> {
        let mut names = self.connection.table_names().execute().await.map_err(|error| self.error(error))?;
        names.retain(|name| self.directory(name).join("_versions").is_dir());
        Ok(names)
    }

    /// A table that follows its newest version.
    pub(crate) async fn table(&self, name: &str) -> Result<Arc<Writable>, EngineError> {
        let inode = self.inode(name)?;
        let known = self.tables.lock().get(name).filter(|known| known.inode == inode).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let opened = Arc::new(self.open_anew(name, inode).await?);
        let mut tables = self.tables.lock();
        // Another session may have been first: there is one turn for all of them.
        if let Some(known) = tables.get(name).filter(|known| known.inode == inode) {
            return Ok(Arc::clone(known));
        }
        tables.insert(name.to_owned(), Arc::clone(&opened));
        drop(tables);
        Ok(opened)
    }

    /// The same, of nobody else: for what may take long, and does not wait for its turn.
    pub(crate) async fn own_table(&self, name: &str) -> Result<Writable, EngineError> {
        let inode = self.inode(name)?;
        self.open_anew(name, inode).await
    }

    /// A table to read.
    async fn at(&self, name: &str, at: At) -> Result<Table, EngineError> {
        let At::Version(version) = at else {
            let latest = self.table(name).await?;
            return latest.table.query_snapshot().await.map_err(|error| self.error(error));
        };
        let key = (name.to_owned(), self.inode(name)?, version);
        if let Some((known, _)) = self.versions.lock().get(&key) {
            return Ok(known.clone());
        }
        let kept = open_directory(&self.directory(name))?;
        let opening = self.connection.open_table(name).version(version).execute();
        let table = opening.await.map_err(|error| match self.error(error) {
            EngineError::Sql { message, .. } => {
                errors::sql("22023", format!("there is no version {version} of \"{name}\": {message}"))
            }
            other => other,
        })?;
        let mut versions = self.versions.lock();
        if versions.len() >= VERSIONS {
            versions.clear();
        }
        versions.insert(key, (table.clone(), kept));
        drop(versions);
        Ok(table)
    }

    /// How a new table is to be written.
    pub(crate) fn creation(&self, name: &str) -> (Arc<Committer>, WriteParams) {
        let committer = Arc::new(Committer::new(self.directory(name), None, Arc::default(), self.options.sync));
        let params = WriteParams { commit_handler: Some(committer.clone()), ..WriteParams::default() };
        (committer, params)
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Keeps nothing of a table that is gone, or is another one now.
    pub(crate) fn forget(&self, name: &str) {
        self.tables.lock().remove(name);
        self.versions.lock().retain(|(known, ..), _| known != name);
    }

    /// The same, and nothing of what is known of its files.
    pub(crate) fn forget_all(&self, name: &str) {
        self.forget(name);
        self.ledger.forget(name);
    }

    async fn open_anew(&self, name: &str, inode: u64) -> Result<Writable, EngineError> {
        let directory = self.directory(name);
        let kept = open_directory(&directory)?;
        let committer =
            Arc::new(Committer::new(directory, Some(inode), self.ledger.of(name, inode), self.options.sync));
        let params = ReadParams { commit_handler: Some(committer.clone()), ..ReadParams::default() };
        let opening = self.connection.open_table(name).lance_read_params(params).execute();
        let table = opening.await.map_err(|error| self.error(error))?;
        let (turn, commits, fault) = Default::default();
        Ok(Writable { table, committer, turn, commits, fault, inode, _directory: kept })
    }

    fn inode(&self, name: &str) -> Result<u64, EngineError> {
        // A name is a name, not a path.
        if name.is_empty() || name.contains(['/', '\\']) {
            return Err(errors::sql("42602", format!("\"{name}\" cannot be a table's name")));
        }
        let directory = self.directory(name);
        match fs::metadata(&directory) {
            Ok(found) => Ok(found.ino()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(errors::no_table(name)),
            Err(error) => Err(errors::io(&error, &directory)),
        }
    }
}

impl StandIn {
    /// Every table as it is now.
    pub(crate) async fn of(opened: Arc<Opened>) -> Result<Self, EngineError> {
        let as_of = SystemTime::now();
        let mut tables = HashMap::new();
        for name in opened.names().await? {
            match opened.at(&name, At::Latest).await {
                Ok(table) => drop(tables.insert(name, table)),
                // Dropped beside us, between the two looks.
                Err(EngineError::Sql { sqlstate: "42P01", .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { as_of, tables, opened })
    }
}

impl Source {
    /// A table to read: one version of it, whatever others do meanwhile.
    pub(crate) async fn table(&self, name: &str, at: At) -> Result<Table, EngineError> {
        match (self, at) {
            (Self::File(opened), at) => opened.at(name, at).await,
            (Self::Copy(copy), At::Latest) => copy.tables.get(name).cloned().ok_or_else(|| errors::no_table(name)),
            (Self::Copy(copy), at) => copy.opened.at(name, at).await,
        }
    }

    pub(crate) async fn names(&self) -> Result<Vec<String>, EngineError> {
        match self {
            Self::File(opened) => opened.names().await,
            Self::Copy(copy) => {
                let mut names: Vec<_> = copy.tables.keys().cloned().collect();
                names.sort();
                Ok(names)
            }
        }
    }

    /// As of when it is true, where it is a copy.
    pub(crate) fn as_of(&self) -> Option<SystemTime> {
        match self {
            Self::File(_) => None,
            Self::Copy(copy) => Some(copy.as_of),
        }
    }

    /// What may be written to.
    pub(crate) fn writable(&self) -> Result<&Arc<Opened>, EngineError> {
        match self {
            Self::File(opened) if opened.attachment.access == Access::ReadWrite => Ok(opened),
            Self::File(_) => Err(read_only("the database is attached to read only")),
            Self::Copy(_) => Err(read_only("a copy stands in for the database, and cannot be written to")),
        }
    }

    /// What SQL may take.
    pub(crate) fn memory(&self) -> Arc<RuntimeEnv> {
        match self {
            Self::File(opened) => Arc::clone(&opened.memory),
            Self::Copy(copy) => Arc::clone(&copy.opened.memory),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(opened) => &opened.path,
            Self::Copy(copy) => &copy.opened.path,
        }
    }
}

/// Opens a directory to keep its inode.
fn open_directory(path: &Path) -> Result<File, EngineError> {
    File::open(path).map_err(|error| errors::io(&error, path))
}

/// Half of what is free, as the database is opened.
fn memory() -> Result<Arc<RuntimeEnv>, EngineError> {
    let bytes =
        dbmux_os::memory::available().map_or(LEAST_MEMORY, |free| usize::try_from(free / 2).unwrap_or(usize::MAX));
    let made = RuntimeEnvBuilder::new().with_memory_limit(bytes.max(LEAST_MEMORY), 1.0).build_arc();
    made.map_err(|error| errors::internal(&error))
}

pub(crate) fn read_only(message: &str) -> EngineError {
    EngineError::ReadOnly { message: message.to_owned() }
}
