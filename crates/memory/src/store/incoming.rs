//! Memories on their way in: checked, with their vectors, as rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use dbmux_client::Value;
use jiff::Timestamp;

use crate::{
    Embedding, MemoryError, NewMemory,
    ask::{Ask, Call, rows_of},
    content_hash, embed, filter, memory,
};

/// One memory: of the kind that the broker commits together with those of others.
pub(super) const INSERT: &str = "INSERT INTO memory_incoming VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
/// Memories in one statement, at most.
const MOST_ROWS: usize = 500;
/// Bytes of texts and vectors in one statement, about at most.
const MOST_BYTES: usize = 16 << 20;

/// A memory with everything that its row has.
pub(super) struct Incoming {
    pub(super) hash: String,
    content: String,
    memory_type: Option<String>,
    metadata: String,
    tags: String,
    created: i64,
    updated: i64,
    pub(super) embedding: Option<(String, Vec<u8>)>,
    pub(super) note: Option<String>,
}

/// Checks all of them, and makes the vectors that are missing, before anything is stored.
pub(super) async fn prepare(call: &Call<'_>, memories: Vec<NewMemory>) -> Result<Vec<Incoming>, MemoryError> {
    let now = Timestamp::now();
    let mut incoming = Vec::with_capacity(memories.len());
    for memory in memories {
        incoming.push(Incoming::new(memory, now, call)?);
    }
    let without: Vec<_> = (0..incoming.len()).filter(|index| incoming[*index].embedding.is_none()).collect();
    let Some(embedder) = call.shared.embedder.as_ref().filter(|_| !without.is_empty()) else { return Ok(incoming) };
    let texts: Vec<_> = without.iter().map(|index| incoming[*index].content.clone()).collect();
    let made = embed::all(embedder.as_ref(), texts, call).await;
    match made {
        Ok(vectors) => {
            for (index, vector) in without.into_iter().zip(vectors) {
                incoming[index].embedding = Some((embedder.model().to_owned(), embed::bytes(&vector)));
            }
        }
        Err(error) => {
            // A memory without a vector is worth more than none.
            for index in without {
                incoming[index].note = Some(format!("stored without a vector: {error}"));
            }
        }
    }
    Ok(incoming)
}

impl Incoming {
    fn new(memory: NewMemory, now: Timestamp, call: &Call<'_>) -> Result<Self, MemoryError> {
        memory::checked_content(&memory.content)?;
        let tags = memory::checked_tags(&memory.tags)?;
        let created = memory.created_at.unwrap_or(now);
        let embedding = memory.embedding.map(|given| checked_embedding(given, call)).transpose()?.flatten();
        Ok(Self {
            hash: content_hash(&memory.content),
            memory_type: memory::checked_type(memory.memory_type.as_deref())?,
            metadata: serde_json::Value::Object(memory.metadata).to_string(),
            tags: filter::json(&tags),
            created: created.as_microsecond(),
            updated: memory.updated_at.unwrap_or(created).as_microsecond(),
            embedding,
            note: None,
            content: memory.content,
        })
    }

    pub(super) fn insert(&self, origin: i64) -> Ask {
        let (model, vector) = self.embedding.clone().unzip();
        Ask::write(INSERT, true).bind_all([
            Value::from(self.hash.as_str()),
            Value::from(self.content.as_str()),
            Value::from(self.memory_type.clone()),
            Value::from(self.metadata.as_str()),
            Value::from(self.tags.as_str()),
            Value::from(self.created),
            Value::from(self.updated),
            Value::from(origin),
            Value::from(model),
            Value::from(vector),
        ])
    }

    fn size(&self) -> usize {
        let vector = self.embedding.as_ref().map_or(0, |(_, vector)| vector.len());
        self.content.len() + self.metadata.len() + self.tags.len() + vector
    }
}

/// A vector of another model is of no use to ours, which makes its own.
fn checked_embedding(given: Embedding, call: &Call<'_>) -> Result<Option<(String, Vec<u8>)>, MemoryError> {
    if call.shared.embedder.as_ref().is_some_and(|embedder| embedder.model() != given.model) {
        return Ok(None);
    }
    let vector = embed::unit(given.vector).map_err(|why| MemoryError::InvalidArgument(format!("its vector {why}")))?;
    Ok(Some((given.model, embed::bytes(&vector))))
}

/// As many of them in each as fit into a statement.
pub(super) fn chunks(incoming: &[Incoming]) -> Vec<&[Incoming]> {
    let mut chunks = Vec::new();
    let (mut begin, mut bytes) = (0, 0);
    for (index, memory) in incoming.iter().enumerate() {
        if index > begin && (index - begin >= MOST_ROWS || bytes + memory.size() > MOST_BYTES) {
            chunks.push(&incoming[begin..index]);
            (begin, bytes) = (index, 0);
        }
        bytes += memory.size();
    }
    if begin < incoming.len() {
        chunks.push(&incoming[begin..]);
    }
    chunks
}

pub(super) fn batch(memories: &[Incoming], origin: i64) -> Result<RecordBatch, MemoryError> {
    let texts =
        |of: fn(&Incoming) -> Option<&str>| -> ArrayRef { Arc::new(memories.iter().map(of).collect::<StringArray>()) };
    let numbers =
        |of: fn(&Incoming) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(memories.iter().map(of))) };
    let vectors = memories.iter().map(|memory| memory.embedding.as_ref().map(|(_, vector)| vector.as_slice()));
    let columns: [ArrayRef; 10] = [
        texts(|memory| Some(&memory.hash)),
        texts(|memory| Some(&memory.content)),
        texts(|memory| memory.memory_type.as_deref()),
        texts(|memory| Some(&memory.metadata)),
        texts(|memory| Some(&memory.tags)),
        numbers(|memory| memory.created),
        numbers(|memory| memory.updated),
        Arc::new(Int64Array::from(vec![origin; memories.len()])),
        texts(|memory| memory.embedding.as_ref().map(|(model, _)| model.as_str())),
        Arc::new(vectors.collect::<BinaryArray>()),
    ];
    rows_of(columns)
}
