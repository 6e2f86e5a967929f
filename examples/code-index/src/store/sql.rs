//! An index in SQL. What two engines say differently is their [`Dialect`].
//!
//! A batch of files is one transaction: whoever is killed leaves all of it or nothing. Two that write the same file at once
//! meet at its row in `files`: on SQLite the second one waits, on DuckDB it has a conflict and does its transaction again;
//! then it finds the other's hash there, and has nothing left to do.

use arrow::array::{ArrayRef, NullArray, RecordBatch};
use dbmux_client::{ClientError, Session, Statement, Transaction};

use super::{Hit, MODEL, PROVIDER, Query, Ready, columns};
use crate::args::By;

/// Rows of one INSERT.
const ROWS: usize = 32;

/// Takes the file for this transaction: writes, whether or not the row is there.
const CLAIM: &str = "INSERT INTO files (path, language, hash, chunks) VALUES ($1, $2, '', 0) ON CONFLICT DO NOTHING";
const HASH: &str = "SELECT hash FROM files WHERE path = $1";
const CLEAR: &str = "DELETE FROM chunks WHERE path = $1";
const DONE: &str = "UPDATE files SET hash = $1, chunks = $2 WHERE path = $3";
const FORGET: &str = "DELETE FROM files WHERE path = $1";

/// What an engine's SQL says in its own way.
pub(super) struct Dialect {
    /// Makes the tables where they are not there yet.
    pub(super) prepare: &'static [&'static str],
    /// Nearest vectors: `$1` is the vector, `$2` provider, `$3` model, `$4` language or NULL.
    pub(super) by_meaning: &'static str,
    /// The query for words, and the values of its parameters from `$4` on; `$1` to `$3` are provider, model, language or
    /// NULL.
    pub(super) by_words: fn(&[String]) -> (String, Vec<String>),
}

pub(crate) struct Sql {
    pub(super) session: Session,
    dialect: &'static Dialect,
}

impl Sql {
    pub(super) fn new(session: Session, dialect: &'static Dialect) -> Self {
        Self { session, dialect }
    }

    pub(super) async fn prepare(&self) -> Result<(), ClientError> {
        for statement in self.dialect.prepare {
            self.session.execute(*statement).await?;
        }
        Ok(())
    }

    pub(super) async fn put(&self, files: &[Ready<'_>]) -> Result<usize, ClientError> {
        let put = async |transaction: &Transaction<'_>| {
            let mut written = 0;
            for ready in files {
                written += usize::from(put(transaction, ready).await?);
            }
            Ok(written)
        };
        self.session.transaction(put).await
    }

    pub(super) async fn remove(&self, paths: &[String]) -> Result<(), ClientError> {
        let remove = async |transaction: &Transaction<'_>| {
            for path in paths {
                transaction.execute(Statement::new(FORGET).bind(path.as_str())).await?;
                transaction.execute(Statement::new(CLEAR).bind(path.as_str())).await?;
            }
            Ok(())
        };
        self.session.transaction(remove).await
    }

    pub(super) async fn search(&self, query: &Query<'_>) -> Result<Vec<Hit>, ClientError> {
        let language = query.language.map_or_else(|| std::sync::Arc::new(NullArray::new(1)) as ArrayRef, columns::text);
        let filter = [columns::text(query.provider), columns::text(MODEL), language];
        let (sql, values) = match query.by {
            By::Meaning => {
                let vector = columns::vectors_of([query.vector])?;
                (self.dialect.by_meaning.to_owned(), [vec![vector], filter.to_vec()].concat())
            }
            By::Words => {
                let (sql, words) = (self.dialect.by_words)(query.words);
                (sql, filter.into_iter().chain(words.iter().map(|word| columns::text(word))).collect())
            }
        };
        let sql = format!("{sql} ORDER BY score DESC, path, number LIMIT {}", query.limit);
        let statement = Statement::new(sql).parameters(columns::parameters(values)?).read_only(true);
        let batches = self.session.query(statement).await?.collect().await?;
        let mut hits = Vec::new();
        for batch in &batches {
            hits.extend(read(batch)?);
        }
        Ok(hits)
    }
}

/// Tells whether the file was not there yet, as it is now.
async fn put(transaction: &Transaction<'_>, ready: &Ready<'_>) -> Result<bool, ClientError> {
    let file = ready.file;
    // A write comes first: a transaction that has read may find that it can no longer write.
    transaction.execute(Statement::new(CLAIM).bind(file.path.as_str()).bind(file.language)).await?;
    let found = transaction.query(Statement::new(HASH).bind(file.path.as_str())).await?.collect().await?;
    let found = found.first().map(|batch| columns::texts(batch, "hash")).transpose()?.unwrap_or_default();
    if found.first() == Some(&file.hash) {
        return Ok(false);
    }
    transaction.execute(Statement::new(CLEAR).bind(file.path.as_str())).await?;
    for rows in (0..ready.chunks.len()).collect::<Vec<_>>().chunks(ROWS) {
        transaction.execute(insert(ready, rows)?).await?;
    }
    let done = Statement::new(DONE).bind(file.hash.as_str()).bind(ready.chunks.len() as i64).bind(file.path.as_str());
    transaction.execute(done).await?;
    Ok(true)
}

/// What holds for the whole file stands once among the values, and is named in each row.
fn insert(ready: &Ready<'_>, rows: &[usize]) -> Result<Statement, ClientError> {
    let file = ready.file;
    let mut values: Vec<ArrayRef> =
        [&*file.path, file.language, PROVIDER, MODEL, &*file.hash].into_iter().map(columns::text).collect();
    let mut texts = Vec::new();
    for (chunk, vector) in rows.iter().filter_map(|row| ready.chunks.get(*row).zip(ready.vectors.get(*row))) {
        let next = values.len() + 1;
        texts.push(format!("($1, $2, $3, $4, $5, ${next}, ${}, ${}, ${})", next + 1, next + 2, next + 3));
        values.extend([
            columns::numbers_of([chunk.number]),
            columns::numbers_of([chunk.line]),
            columns::text(chunk.text),
        ]);
        values.push(columns::vectors_of([vector.as_slice()])?);
    }
    let sql = format!(
        "INSERT INTO chunks (path, language, provider, model, hash, number, line, text, embedding) VALUES {}",
        texts.join(", ")
    );
    Ok(Statement::new(sql).parameters(columns::parameters(values)?))
}

fn read(batch: &RecordBatch) -> Result<Vec<Hit>, ClientError> {
    let (paths, languages) = (columns::texts(batch, "path")?, columns::texts(batch, "language")?);
    let (lines, scores) = (columns::integers(batch, "line")?, columns::reals(batch, "score")?);
    let rows = paths.into_iter().zip(languages).zip(columns::texts(batch, "text")?).zip(lines.into_iter().zip(scores));
    Ok(rows.map(|(((path, language), text), (line, score))| Hit { path, line, language, score, text }).collect())
}
