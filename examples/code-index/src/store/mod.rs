//! Where the index is: what it takes of an engine, and which engine has it.
//!
//! `files` has a row for each file, `chunks` one for each of its chunks. What always holds, whoever is killed when: a file
//! counts as indexed only when its row and all of its chunks say the same hash; so whatever else is found is indexed again.

mod columns;
mod duckdb;
mod lance;
mod sql;
mod sqlite;

use std::collections::BTreeMap;

use dbmux_client::{Client, ClientError, ClientOptions, Session};

use self::{lance::Lance, sql::Sql};
use crate::{
    args::{Arguments, By},
    embed::{MODEL, PROVIDER, embed},
    failure::Failure,
    tree::{Chunk, File},
};

/// The files that are indexed, whole, with their hashes. Every one of the engines understands it.
const INDEXED: &str = "SELECT f.path AS path, f.hash AS hash FROM files f \
     LEFT JOIN (SELECT path, hash, count(*) AS n FROM chunks GROUP BY path, hash) c ON c.path = f.path AND c.hash = f.hash \
     WHERE f.chunks = coalesce(c.n, 0)";

/// A file that is ready to be written.
pub(crate) struct Ready<'a> {
    pub(crate) file: &'a File,
    pub(crate) chunks: Vec<Chunk<'a>>,
    pub(crate) vectors: Vec<Vec<f32>>,
}

impl<'a> Ready<'a> {
    pub(crate) fn new(file: &'a File) -> Self {
        let chunks = file.chunks();
        let vectors = chunks.iter().map(|chunk| embed(chunk.text)).collect();
        Self { file, chunks, vectors }
    }
}

/// What is looked for.
pub(crate) struct Query<'a> {
    pub(crate) by: By,
    /// In small letters, at least one.
    pub(crate) words: &'a [String],
    pub(crate) vector: &'a [f32],
    pub(crate) language: Option<&'a str>,
    pub(crate) provider: &'a str,
    pub(crate) limit: u32,
}

/// What was found: a chunk.
#[derive(Debug)]
pub(crate) struct Hit {
    pub(crate) path: String,
    pub(crate) line: i64,
    pub(crate) language: String,
    /// Larger is better; of the same search only.
    pub(crate) score: f64,
    pub(crate) text: String,
}

/// An index in a database of one of the engines.
pub(crate) enum Store {
    Sql(Sql),
    Lance(Lance),
}

impl Store {
    /// Opens one to write, in a new database where there is none.
    pub(crate) async fn writing(arguments: &Arguments) -> Result<Self, Failure> {
        Self::open(arguments, ClientOptions::default()).await
    }

    /// Opens one to read: makes nothing.
    pub(crate) async fn reading(arguments: &Arguments) -> Result<Self, Failure> {
        Self::open(arguments, ClientOptions { read_only: true, create: false, ..ClientOptions::default() }).await
    }

    async fn open(arguments: &Arguments, options: ClientOptions) -> Result<Self, Failure> {
        let broker_program = std::env::var_os("DBMUX_BIN").map(Into::into);
        let options = ClientOptions { wait: arguments.wait, broker_program, ..options };
        let session = Client::open(&arguments.database, options)?.session().await?;
        let engine = session.hello().engine.clone();
        Ok(match engine.as_str() {
            "duckdb" => Self::Sql(Sql::new(session, &duckdb::DIALECT)),
            "sqlite" => Self::Sql(Sql::new(session, &sqlite::DIALECT)),
            "lance" => Self::Lance(Lance::new(session)),
            _ => return Err(Failure::Engine(engine)),
        })
    }

    /// Makes the tables that are missing.
    pub(crate) async fn prepare(&self) -> Result<(), ClientError> {
        match self {
            Self::Sql(sql) => sql.prepare().await,
            Self::Lance(lance) => lance.prepare().await,
        }
    }

    /// How many files are best written at once.
    pub(crate) fn batch(&self) -> usize {
        match self {
            Self::Sql(_) => 8,
            // Each write is a version, and files of its own.
            Self::Lance(_) => 64,
        }
    }

    /// The files that are in the index, with their hashes.
    pub(crate) async fn indexed(&self) -> Result<BTreeMap<String, String>, ClientError> {
        let batches = self.session().query(INDEXED).await?.collect().await?;
        let mut indexed = BTreeMap::new();
        for batch in &batches {
            let (paths, hashes) = (columns::texts(batch, "path")?, columns::texts(batch, "hash")?);
            indexed.extend(paths.into_iter().zip(hashes));
        }
        Ok(indexed)
    }

    /// Writes files, each in the place of what the index had of it. Answers with how many were not there yet.
    ///
    /// Done once more, it does nothing: so whoever does not know whether it was done does it again.
    pub(crate) async fn put(&self, files: &[Ready<'_>]) -> Result<usize, ClientError> {
        match self {
            Self::Sql(sql) => sql.put(files).await,
            Self::Lance(lance) => lance.put(files).await,
        }
    }

    /// Removes files.
    pub(crate) async fn remove(&self, paths: &[String]) -> Result<(), ClientError> {
        match self {
            Self::Sql(sql) => sql.remove(paths).await,
            Self::Lance(lance) => lance.remove(paths).await,
        }
    }

    /// Looks for chunks: the best first.
    pub(crate) async fn search(&self, query: &Query<'_>) -> Result<Vec<Hit>, ClientError> {
        match self {
            Self::Sql(sql) => sql.search(query).await,
            Self::Lance(lance) => lance.search(query).await,
        }
    }

    fn session(&self) -> &Session {
        match self {
            Self::Sql(sql) => &sql.session,
            Self::Lance(lance) => &lance.session,
        }
    }
}
