//! What is in a store, and whether it is well.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{Memories, MemoryError, ask::Ask};

/// Everything in one statement, so that its numbers belong together.
const STATS: &str = "SELECT json_object(\
    'memories', (SELECT count(*) FROM memories), \
    'tags', (SELECT count(*) FROM (SELECT DISTINCT tag FROM memory_tags)), \
    'by_type', json((SELECT json_group_object(name, n) FROM \
      (SELECT coalesce(type, '') AS name, count(*) AS n FROM memories GROUP BY type ORDER BY n DESC))), \
    'top_tags', json((SELECT json_group_array(json_array(tag, n)) FROM \
      (SELECT tag, count(*) AS n FROM memory_tags GROUP BY tag ORDER BY n DESC, tag LIMIT 20))), \
    'embedded', json((SELECT json_group_object(model, n) FROM \
      (SELECT model, count(*) AS n FROM memory_codes GROUP BY model))), \
    'oldest', (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', min(created) / 1e6, 'unixepoch') FROM memories), \
    'newest', (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', max(created) / 1e6, 'unixepoch') FROM memories), \
    'content_bytes', (SELECT coalesce(sum(octet_length(content)), 0) FROM memories), \
    'file_bytes', (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size), \
    'revision', (SELECT value FROM dbmux_memory WHERE key = 'revision'))";

/// What is in a store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stats {
    /// How many memories.
    pub memories: u64,
    /// How many different tags.
    pub tags: u64,
    /// How many memories of each type; those without one under the empty name.
    pub by_type: BTreeMap<String, u64>,
    /// The twenty most frequent tags, with how many memories have them.
    pub top_tags: Vec<(String, u64)>,
    /// How many memories have a vector, by model.
    pub embedded: BTreeMap<String, u64>,
    /// When the oldest memory was stored, RFC 3339.
    pub oldest: Option<String>,
    /// When the newest one was.
    pub newest: Option<String>,
    /// How long all texts are together, in bytes.
    pub content_bytes: u64,
    /// How large the database is, in bytes, without its log.
    pub file_bytes: u64,
    /// How often the memories have changed.
    pub revision: u64,
    /// Set where a snapshot answered: the moment as of which it is true, RFC 3339.
    #[serde(default)]
    pub as_of: Option<String>,
}

/// Whether a store is well.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// The database.
    pub database: PathBuf,
    /// The version of its tables.
    pub schema: i64,
    /// The version of the SQLite that serves it.
    pub sqlite: String,
    /// The version of its vector functions.
    pub vectors: String,
    /// The process that serves it.
    pub broker_pid: Option<u32>,
    /// The model that makes the vectors; `None`: memories are found by their words alone.
    pub model: Option<String>,
    /// How many memories.
    pub memories: u64,
    /// How many of them have no vector of that model; 0 without a model.
    pub without_vector: u64,
    /// Whether the words are those of the memories.
    pub words_are_true: bool,
    /// How long all of this took.
    pub took: Duration,
}

impl Memories {
    /// What is in the store, as of one moment.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn stats(&self) -> Result<Stats, MemoryError> {
        let rows = self.call()?.run(&Ask::read(STATS)).await?;
        let row = rows.first().ok_or_else(|| MemoryError::Decode("there are no statistics".to_owned()))?;
        let stats: Stats = row.json(0)?;
        Ok(Stats { as_of: rows.as_of, ..stats })
    }

    /// Whether the store is well. It looks through the index of the words.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn health(&self) -> Result<Health, MemoryError> {
        let began = Instant::now();
        let call = self.call()?;
        let sql = "SELECT sqlite_version(), vec_version(), (SELECT count(*) FROM memories), \
                   (SELECT count(*) FROM memory_words_docsize), \
                   (SELECT value FROM dbmux_memory WHERE key = 'schema')";
        let rows = call.run(&Ask::read(sql)).await?;
        let row = rows.first().ok_or_else(|| MemoryError::Decode("there are no versions".to_owned()))?;
        let (memories, words) = (row.integer(2)?, row.integer(3)?);
        let without = match self.model() {
            Some(model) => crate::reembed::count_without(&call, model).await?,
            None => 0,
        };
        let broker = self.shared.client.status().await?;
        Ok(Health {
            database: self.database().to_owned(),
            schema: row.integer(4)?,
            sqlite: row.text(0)?,
            vectors: row.text(1)?,
            broker_pid: broker.map(|status| status.pid),
            model: self.model().map(str::to_owned),
            memories: u64::try_from(memories).unwrap_or_default(),
            without_vector: without,
            words_are_true: memories == words,
            took: began.elapsed(),
        })
    }
}
