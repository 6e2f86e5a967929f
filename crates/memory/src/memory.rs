//! What a memory is.

use jiff::Timestamp;
use serde::Serialize;

use crate::MemoryError;

/// What else is known of a memory: a JSON object.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

/// The longest text that a memory may have, in bytes.
const LONGEST: usize = 16 << 20;
/// The longest tag or type, in bytes.
const LONGEST_NAME: usize = 1000;

/// A memory, as it is stored.
///
/// As JSON its times are there twice: `created_at` and `updated_at` in seconds since 1970, with fractions, and
/// `created_at_iso` and `updated_at_iso` as text, in UTC.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(into = "Shown")]
#[non_exhaustive]
pub struct Memory {
    /// The text.
    pub content: String,
    /// What it is called by: [`crate::content_hash`] of the text.
    pub content_hash: String,
    /// Sorted, each once.
    pub tags: Vec<String>,
    /// What kind of memory it is, in its author's words.
    pub memory_type: Option<String>,
    /// What else is known of it.
    pub metadata: Metadata,
    /// When it was stored first.
    pub created_at: Timestamp,
    /// When it was stored or changed last.
    pub updated_at: Timestamp,
    /// The model that made its vector; `None`: it has no vector.
    pub embedding_model: Option<String>,
}

/// A memory as JSON.
#[derive(Serialize)]
struct Shown {
    content: String,
    content_hash: String,
    tags: Vec<String>,
    memory_type: Option<String>,
    metadata: Metadata,
    created_at: f64,
    created_at_iso: String,
    updated_at: f64,
    updated_at_iso: String,
    embedding_model: Option<String>,
}

impl From<Memory> for Shown {
    fn from(memory: Memory) -> Self {
        Self {
            content: memory.content,
            content_hash: memory.content_hash,
            tags: memory.tags,
            memory_type: memory.memory_type,
            metadata: memory.metadata,
            created_at: seconds(memory.created_at),
            created_at_iso: memory.created_at.to_string(),
            updated_at: seconds(memory.updated_at),
            updated_at_iso: memory.updated_at.to_string(),
            embedding_model: memory.embedding_model,
        }
    }
}

/// Seconds since 1970, to the microsecond.
pub(crate) fn seconds(moment: Timestamp) -> f64 {
    moment.as_duration().as_secs_f64()
}

/// A vector, and what made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// The model's name: only vectors of the same name are compared.
    pub model: String,
    /// The vector. Its length does not count, and it is stored with length 1.
    pub vector: Vec<f32>,
}

/// A memory to store.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NewMemory {
    /// The text.
    pub content: String,
    /// Its tags, in any order. Added to those that it has, if it is there already.
    pub tags: Vec<String>,
    /// What kind of memory it is. `None` leaves that of one that is there already.
    pub memory_type: Option<String>,
    /// What else is known. Merged into that of one that is there already: a key's new value counts, and `null` removes it.
    pub metadata: Metadata,
    /// When it was made. `None`: now. Of two the earlier one counts.
    pub created_at: Option<Timestamp>,
    /// When it was changed last. `None`: as [`NewMemory::created_at`]. Of two the later one counts.
    pub updated_at: Option<Timestamp>,
    /// Its vector, where there is one already. `None`: made by the store's embedder, if it has one.
    pub embedding: Option<Embedding>,
}

impl NewMemory {
    /// A memory of this text.
    pub fn new(content: impl Into<String>) -> Self {
        Self { content: content.into(), ..Self::default() }
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Says what kind of memory it is.
    #[must_use]
    pub fn of_type(mut self, memory_type: impl Into<String>) -> Self {
        self.memory_type = Some(memory_type.into());
        self
    }
}

/// What became of a memory that was to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stored {
    /// What it is called by.
    pub content_hash: String,
    /// Whether it was not there before.
    pub new: bool,
    /// Whether it was given a vector by this call.
    pub embedded: bool,
    /// Why it was given none, although there is an embedder.
    pub note: Option<String>,
}

/// A text that may be a memory's.
pub(crate) fn checked_content(content: &str) -> Result<(), MemoryError> {
    if content.chars().all(crate::hash::is_space) {
        return Err(MemoryError::InvalidArgument("a memory has a text, and this one is empty".to_owned()));
    }
    if content.len() > LONGEST {
        let text = format!("a memory has at most {LONGEST} bytes of text, and this one has {}", content.len());
        return Err(MemoryError::InvalidArgument(text));
    }
    Ok(())
}

/// Tags without the space around them, sorted, each once.
pub(crate) fn checked_tags(tags: &[String]) -> Result<Vec<String>, MemoryError> {
    let mut checked = Vec::with_capacity(tags.len());
    for tag in tags.iter().map(|tag| tag.trim()).filter(|tag| !tag.is_empty()) {
        checked_name("tag", tag)?;
        checked.push(tag.to_owned());
    }
    checked.sort_unstable();
    checked.dedup();
    Ok(checked)
}

/// A type without the space around it; an empty one is none.
pub(crate) fn checked_type(memory_type: Option<&str>) -> Result<Option<String>, MemoryError> {
    let given = memory_type.map(str::trim).filter(|name| !name.is_empty());
    given.map(|name| checked_name("type", name).map(|()| name.to_owned())).transpose()
}

fn checked_name(what: &str, name: &str) -> Result<(), MemoryError> {
    if name.len() <= LONGEST_NAME {
        return Ok(());
    }
    let text = format!("a {what} has at most {LONGEST_NAME} bytes, and this one has {}", name.len());
    Err(MemoryError::InvalidArgument(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_sorted_and_each_is_there_once() {
        let tags = ["b", " a ", "", "b", "a"].map(str::to_owned);
        assert_eq!(checked_tags(&tags).unwrap(), ["a", "b"]);
        let long = "x".repeat(LONGEST_NAME + 1);
        assert!(matches!(checked_tags(&[long]), Err(MemoryError::InvalidArgument(_))));
    }

    #[test]
    fn a_text_is_not_empty_and_not_endless() {
        assert!(checked_content("x").is_ok());
        assert!(checked_content(" \n\u{1f}").is_err());
        assert!(checked_content(&"x".repeat(LONGEST + 1)).is_err());
    }

    #[test]
    fn as_json_the_times_are_numbers_and_text() {
        let memory = Memory {
            content: "x".to_owned(),
            content_hash: "h".to_owned(),
            tags: vec!["t".to_owned()],
            memory_type: None,
            metadata: Metadata::new(),
            created_at: Timestamp::from_microsecond(1_500_000).unwrap(),
            updated_at: Timestamp::from_microsecond(2_000_000).unwrap(),
            embedding_model: None,
        };
        let json = serde_json::to_value(&memory).unwrap();
        assert_eq!(json["created_at"], 1.5);
        assert_eq!(json["updated_at_iso"], "1970-01-01T00:00:02Z");
        assert_eq!(json["tags"], serde_json::json!(["t"]));
        assert_eq!(json["memory_type"], serde_json::Value::Null);
    }
}
