//! On LanceDB, where statements are operations, and there are no transactions.
//!
//! One `merge_insert` puts all chunks of some files in the place of those that were there; a second one then says so in
//! `files`. Killed between the two, the files' hashes are not those of their chunks, and they are indexed again. All
//! processes' operations go through one lane in the owner: two of the same file do not both insert.

use arrow::array::RecordBatch;
use dbmux_client::{ClientError, Session, Statement};
use serde_json::{Value, json};

use super::{Hit, INDEXED, MODEL, PROVIDER, Query, Ready, columns};
use crate::{args::By, embed::DIMENSIONS};

pub(crate) struct Lance {
    pub(super) session: Session,
}

impl Lance {
    pub(super) fn new(session: Session) -> Self {
        Self { session }
    }

    pub(super) async fn prepare(&self) -> Result<(), ClientError> {
        let text = |name: &str| json!({"name": name, "type": "string", "nullable": false});
        let number = |name: &str| json!({"name": name, "type": "int64", "nullable": false});
        let vector = json!({"name": "embedding", "type": format!("vector({DIMENSIONS})"), "nullable": false});
        let files = json!([text("path"), text("language"), text("hash"), number("chunks")]);
        let chunks = json!([
            text("path"),
            text("language"),
            text("provider"),
            text("model"),
            text("hash"),
            number("number"),
            number("line"),
            text("text"),
            vector,
        ]);
        for (table, schema) in [("files", files), ("chunks", chunks)] {
            let create = json!({"create_table": {"table": table, "schema": schema, "if_exists": "keep"}});
            self.session.execute(create.to_string()).await?;
        }
        let indices = json!({"indices": {"table": "chunks"}});
        let indices = self.session.query(indices.to_string()).await?.collect().await?;
        if indices.iter().all(|batch| batch.num_rows() == 0) {
            // Whoever comes second makes the same one again.
            let words = json!({"create_index": {"table": "chunks", "column": "text", "type": "fts", "replace": true}});
            self.session.execute(words.to_string()).await?;
        }
        Ok(())
    }

    pub(super) async fn put(&self, files: &[Ready<'_>]) -> Result<usize, ClientError> {
        let missing = self.missing(files).await?;
        if missing.is_empty() {
            return Ok(0);
        }
        let theirs = format!("path IN ({})", list(missing.iter().map(|ready| &*ready.file.path)));
        let rows = chunk_rows(&missing)?;
        let replace = if rows.num_rows() == 0 {
            Statement::new(json!({"delete": {"table": "chunks", "where": theirs}}).to_string())
        } else {
            let on = json!({"table": "chunks", "on": ["path", "number"], "delete_unmatched_where": theirs});
            with_rows(json!({ "merge_insert": on }), rows)
        };
        self.session.execute(replace).await?;
        let done = json!({"merge_insert": {"table": "files", "on": ["path"]}});
        self.session.execute(with_rows(done, file_rows(&missing)?)).await?;
        Ok(missing.len())
    }

    /// What somebody else has written meanwhile need not be written again.
    async fn missing<'a>(&self, files: &'a [Ready<'a>]) -> Result<Vec<&'a Ready<'a>>, ClientError> {
        let sql = format!("{INDEXED} AND f.path IN ({})", list(files.iter().map(|ready| &*ready.file.path)));
        let batches = self.session.query(sql).await?.collect().await?;
        let mut present = Vec::new();
        for batch in &batches {
            present.extend(columns::texts(batch, "path")?.into_iter().zip(columns::texts(batch, "hash")?));
        }
        let is_present = |ready: &&Ready<'_>| {
            present.iter().any(|(path, hash)| *path == ready.file.path && *hash == ready.file.hash)
        };
        Ok(files.iter().filter(|ready| !is_present(ready)).collect())
    }

    pub(super) async fn remove(&self, paths: &[String]) -> Result<(), ClientError> {
        let these = format!("path IN ({})", list(paths.iter().map(String::as_str)));
        for table in ["files", "chunks"] {
            self.session.execute(json!({"delete": {"table": table, "where": these}}).to_string()).await?;
        }
        Ok(())
    }

    pub(super) async fn search(&self, query: &Query<'_>) -> Result<Vec<Hit>, ClientError> {
        let mut filter = format!("provider = {} AND model = {}", quoted(query.provider), quoted(MODEL));
        if let Some(language) = query.language {
            filter.push_str(&format!(" AND language = {}", quoted(language)));
        }
        let mut search = json!({
            "table": "chunks", "where": filter, "limit": query.limit,
            "select": ["path", "number", "line", "language", "text"],
        });
        if let Some(search) = search.as_object_mut() {
            match query.by {
                By::Meaning => search
                    .extend([("vector".to_owned(), json!(query.vector)), ("metric".to_owned(), Value::from("cosine"))]),
                By::Words => search.extend([("text".to_owned(), Value::from(query.words.join(" ")))]),
            }
        }
        let batches = self.session.query(json!({"search": search}).to_string()).await?.collect().await?;
        let mut hits = Vec::new();
        for batch in &batches {
            hits.extend(read(batch, query.by)?);
        }
        Ok(hits)
    }
}

/// The operation, with the rows that it takes.
fn with_rows(operation: Value, rows: RecordBatch) -> Statement {
    Statement::new(operation.to_string()).rows(rows)
}

fn chunk_rows(files: &[&Ready<'_>]) -> Result<RecordBatch, ClientError> {
    let each = || files.iter().flat_map(|ready| ready.chunks.iter().map(|chunk| (ready.file, chunk)));
    let vectors = files.iter().flat_map(|ready| ready.vectors.iter().map(Vec::as_slice));
    columns::batch([
        ("path", columns::texts_of(each().map(|(file, _)| &*file.path))),
        ("language", columns::texts_of(each().map(|(file, _)| file.language))),
        ("provider", columns::texts_of(each().map(|_| PROVIDER))),
        ("model", columns::texts_of(each().map(|_| MODEL))),
        ("hash", columns::texts_of(each().map(|(file, _)| &*file.hash))),
        ("number", columns::numbers_of(each().map(|(_, chunk)| chunk.number))),
        ("line", columns::numbers_of(each().map(|(_, chunk)| chunk.line))),
        ("text", columns::texts_of(each().map(|(_, chunk)| chunk.text))),
        ("embedding", columns::vectors_of(vectors)?),
    ])
}

fn file_rows(files: &[&Ready<'_>]) -> Result<RecordBatch, ClientError> {
    columns::batch([
        ("path", columns::texts_of(files.iter().map(|ready| &*ready.file.path))),
        ("language", columns::texts_of(files.iter().map(|ready| ready.file.language))),
        ("hash", columns::texts_of(files.iter().map(|ready| &*ready.file.hash))),
        ("chunks", columns::numbers_of(files.iter().map(|ready| ready.chunks.len() as i64))),
    ])
}

fn read(batch: &RecordBatch, by: By) -> Result<Vec<Hit>, ClientError> {
    let scores = match by {
        By::Meaning => columns::reals(batch, "_distance")?.into_iter().map(|distance| 1.0 - distance).collect(),
        By::Words => columns::reals(batch, "_score")?,
    };
    let (paths, languages) = (columns::texts(batch, "path")?, columns::texts(batch, "language")?);
    let (lines, texts) = (columns::integers(batch, "line")?, columns::texts(batch, "text")?);
    let rows = paths.into_iter().zip(languages).zip(texts).zip(lines.into_iter().zip(scores));
    Ok(rows.map(|(((path, language), text), (line, score))| Hit { path, line, language, score, text }).collect())
}

fn list<'a>(values: impl Iterator<Item = &'a str>) -> String {
    values.map(quoted).collect::<Vec<_>>().join(", ")
}

/// A text as an expression has it.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}
