//! Changing a memory.

use dbmux_client::Value;
use jiff::Timestamp;

use crate::{
    Memories, Memory, MemoryError, Metadata,
    ask::{Ask, Call},
    content_hash, embed, filter, memory, rows, schema,
};

/// One change: of the kind that the broker commits together with those of others.
const INSERT: &str = "INSERT INTO memory_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// What happens to a memory's tags.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TagChange {
    /// Nothing.
    #[default]
    Keep,
    /// It has these from now on, and no others.
    Set(Vec<String>),
    /// It loses some, and gets others: one that is in both it has.
    Change {
        /// Those that it gets.
        add: Vec<String>,
        /// Those that it loses.
        remove: Vec<String>,
    },
}

/// What to change. What is `None` stays.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Update {
    /// Another text. The memory has another hash then.
    pub content: Option<String>,
    /// Its tags.
    pub tags: TagChange,
    /// Another type; an empty one is none.
    pub memory_type: Option<String>,
    /// What else is known.
    pub metadata: Option<Metadata>,
    /// The metadata is what it says from now on. Otherwise a key's new value counts, `null` removes it, and others stay.
    pub replace_metadata: bool,
}

impl Update {
    fn is_empty(&self) -> bool {
        *self == Self { replace_metadata: self.replace_metadata, ..Self::default() }
    }
}

impl Memories {
    /// Changes a memory, all at once or not at all. Answers with it as it is afterwards.
    ///
    /// A new text is embedded anew; where there is no embedder, or it fails, the memory has no vector afterwards.
    ///
    /// # Errors
    /// [`MemoryError::NotFound`]; [`MemoryError::Duplicate`] when another memory has the new text already.
    pub async fn update(&self, hash: &str, update: &Update) -> Result<Memory, MemoryError> {
        if update.is_empty() {
            return Err(MemoryError::InvalidArgument("there is nothing to change".to_owned()));
        }
        let call = self.call()?;
        let hash = hash.trim().to_ascii_lowercase();
        let new_hash = update.content.as_deref().map(content_hash);
        // Under its new name it would not be found a second time.
        let repeatable = new_hash.as_ref().is_none_or(|new| *new == hash);
        let ask = Ask::write(INSERT, repeatable).bind_all(values(&call, &hash, new_hash.as_deref(), update).await?);
        let name = new_hash.unwrap_or_else(|| hash.clone());
        call.run(&ask).await.map_err(|error| meant(error, &hash, &name))?;
        let sql = format!("SELECT {} FROM memories AS m WHERE m.hash = ?", rows::MEMORY);
        let found = call.run(&Ask::read(sql).bind(name.as_str())).await?;
        let row = found.first().ok_or(MemoryError::NotFound { hash: name })?;
        rows::memory(row).map(|(_, memory)| memory)
    }
}

/// What the trigger's words mean.
fn meant(error: MemoryError, hash: &str, name: &str) -> MemoryError {
    if error.said().contains(schema::NO_SUCH_MEMORY) {
        MemoryError::NotFound { hash: hash.to_owned() }
    } else if error.said().contains("memories.hash") {
        MemoryError::Duplicate { hash: name.to_owned() }
    } else {
        error
    }
}

async fn values(
    call: &Call<'_>,
    hash: &str,
    new_hash: Option<&str>,
    update: &Update,
) -> Result<[Value; 13], MemoryError> {
    if let Some(content) = &update.content {
        memory::checked_content(content)?;
    }
    let (replaces, add, remove) = match &update.tags {
        TagChange::Keep => (false, Vec::new(), Vec::new()),
        TagChange::Set(tags) => (true, memory::checked_tags(tags)?, Vec::new()),
        TagChange::Change { add, remove } => (false, memory::checked_tags(add)?, memory::checked_tags(remove)?),
    };
    let memory_type = memory::checked_type(update.memory_type.as_deref())?;
    let metadata = update.metadata.clone().map(|metadata| serde_json::Value::Object(metadata).to_string());
    let (model, vector) = embedding(call, update.content.as_deref()).await.unzip();
    Ok([
        hash.into(),
        new_hash.into(),
        update.content.as_deref().into(),
        update.memory_type.is_some().into(),
        memory_type.into(),
        update.replace_metadata.into(),
        metadata.into(),
        replaces.into(),
        filter::json(&add).into(),
        filter::json(&remove).into(),
        Timestamp::now().as_microsecond().into(),
        model.into(),
        vector.into(),
    ])
}

/// A new text's vector, and its model. Without one the memory loses the one that it has.
async fn embedding(call: &Call<'_>, content: Option<&str>) -> Option<(String, Vec<u8>)> {
    let (content, embedder) = (content?, call.shared.embedder.as_ref()?);
    let made = embed::all(embedder.as_ref(), vec![content.to_owned()], call).await;
    match made {
        Ok(vectors) => vectors.first().map(|vector| (embedder.model().to_owned(), embed::bytes(vector))),
        Err(error) => {
            tracing::warn!(%error, "a changed memory has no vector");
            None
        }
    }
}
