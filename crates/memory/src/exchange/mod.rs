//! Memories of and for other programs: as JSON lines, one object on each; of their databases.

use std::{
    io::{BufRead, Write},
    path::Path,
};

use serde::Serialize;

use crate::{
    Filter, Memories, Memory, MemoryError, NewMemory,
    ask::Ask,
    embed,
    rows::{self, Row},
};

mod foreign;
mod line;

/// Memories that are read or written together.
const TOGETHER: usize = 500;

/// What was imported.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Imported {
    /// How many memories were read.
    pub read: u64,
    /// How many of them are new.
    pub new: u64,
    /// How many have a vector now.
    pub embedded: u64,
    /// Why some have none, although there is an embedder: the first reason.
    pub note: Option<String>,
}

/// A memory with its vector, as a line.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    memory: Memory,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<Vec<f32>>,
}

impl Memories {
    /// Writes memories as JSON lines, in the order in which they were stored; with `vectors`, their vectors too. Answers
    /// with how many there were. What others store meanwhile may be among them.
    ///
    /// # Errors
    /// [`MemoryError::Io`] when they cannot be written.
    pub async fn export(
        &self,
        filter: &Filter,
        vectors: bool,
        into: &mut (impl Write + Send),
    ) -> Result<u64, MemoryError> {
        let (mut count, mut last) = (0, 0);
        let vector = if vectors { "(SELECT v.vector FROM memory_vectors AS v WHERE v.memory = m.id)" } else { "NULL" };
        loop {
            let mut clause = filter.clause()?;
            clause.and("m.id > ?", last);
            let sql = format!(
                "SELECT {}, {vector} FROM memories AS m{} ORDER BY m.id LIMIT {TOGETHER}",
                rows::MEMORY,
                clause.where_()
            );
            // Each page has its own time.
            let rows = self.call()?.run(&Ask::read(sql).bind_all(clause.values)).await?;
            let before = count;
            for row in rows.iter() {
                last = write(row, into)?;
                count += 1;
            }
            if count == before {
                into.flush().map_err(|error| io("writing memories", &error))?;
                return Ok(count);
            }
        }
    }

    /// Stores the memories of JSON lines: those of [`Memories::export`], or any with a `content`, and `tags` (a list, or a
    /// text with commas), `memory_type` or `type`, `metadata`, `created_at` and `updated_at` (seconds since 1970, or RFC 3339),
    /// `embedding` and `embedding_model`. What is there already is merged. Empty lines are passed over.
    ///
    /// # Errors
    /// [`MemoryError::InvalidArgument`] with the number of the line that is none; those of a few hundred lines before it may
    /// not be stored then. Importing again changes nothing.
    pub async fn import(&self, from: &mut (impl BufRead + Send)) -> Result<Imported, MemoryError> {
        let mut imported = Imported::default();
        let mut together = Vec::with_capacity(TOGETHER);
        let mut lines = from.lines().enumerate();
        loop {
            let line = lines.next();
            let is_end = line.is_none();
            if let Some((index, line)) = line {
                let line = line.map_err(|error| io("reading memories", &error))?;
                together.extend(line::read(&line, index + 1)?);
            }
            if together.len() >= TOGETHER || (is_end && !together.is_empty()) {
                self.import_some(std::mem::take(&mut together), &mut imported).await?;
            }
            if is_end {
                return Ok(imported);
            }
        }
    }

    /// Stores what is in a file or a folder: JSON lines, or another program's database.
    ///
    /// # Errors
    /// As [`Memories::import`] and [`Memories::import_database`]; [`MemoryError::InvalidArgument`] when it is not there.
    pub async fn import_from(&self, path: &Path) -> Result<Imported, MemoryError> {
        if foreign::is_foreign(path) {
            return self.import_database(path).await;
        }
        let file = std::fs::File::open(path);
        let file = file.map_err(|error| MemoryError::InvalidArgument(format!("{}: {error}", path.display())))?;
        self.import(&mut std::io::BufReader::new(file)).await
    }

    async fn import_some(&self, memories: Vec<NewMemory>, imported: &mut Imported) -> Result<(), MemoryError> {
        for stored in self.store(memories).await? {
            imported.read += 1;
            imported.new += u64::from(stored.new);
            imported.embedded += u64::from(stored.embedded);
            if imported.note.is_none() {
                imported.note = stored.note;
            }
        }
        Ok(())
    }
}

/// Writes a memory; answers with its number.
fn write(row: Row<'_>, into: &mut impl Write) -> Result<i64, MemoryError> {
    let (id, memory) = rows::memory(row)?;
    let embedding = row.maybe_blob(rows::AFTER_MEMORY)?.map(embed::floats);
    let text = serde_json::to_string(&Line { memory, embedding });
    let mut text = text.map_err(|error| MemoryError::Decode(error.to_string()))?;
    text.push('\n');
    into.write_all(text.as_bytes()).map_err(|error| io("writing memories", &error))?;
    Ok(id)
}

fn io(operation: &'static str, error: &std::io::Error) -> MemoryError {
    MemoryError::Io { operation, message: error.to_string() }
}
