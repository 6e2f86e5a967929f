//! `memory_store`.

use std::sync::Arc;

use dbmux_memory::NewMemory;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::arguments::given;
use super::arguments::{Tags, memories};
use crate::{call::Call, failure::Failure, reply::Reply, server::Shared};

/// What to store.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    /// The text. Left out with `memories`.
    content: Option<String>,
    /// Its tags: a list, or a text with commas.
    tags: Option<Tags>,
    /// What kind of memory it is: note, decision, …
    #[serde(alias = "type")]
    memory_type: Option<String>,
    /// What else is known of it: any object.
    #[serde(default, deserialize_with = "given")]
    metadata: Map<String, Value>,
    /// Instead of `content`: several memories at once.
    #[serde(default, deserialize_with = "given")]
    memories: Vec<One>,
    /// Seconds to wait for others. 0 never waits.
    wait: Option<f64>,
}

/// One of several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct One {
    /// The text.
    content: String,
    /// Its tags: a list, or a text with commas.
    tags: Option<Tags>,
    /// What kind of memory it is.
    #[serde(alias = "type")]
    memory_type: Option<String>,
    /// What else is known of it: any object.
    #[serde(default, deserialize_with = "given")]
    metadata: Map<String, Value>,
}

/// What was stored, in its order.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Stored {
    stored: Vec<StoredOne>,
}

/// A memory.
#[derive(Debug, Serialize, JsonSchema)]
struct StoredOne {
    content_hash: String,
    /// Whether it was not there before.
    new: bool,
    /// Whether it was given a vector.
    embedded: bool,
    /// Why not, although there is an embedder.
    note: Option<String>,
}

pub(super) async fn run(shared: Arc<Shared>, asked: Store, call: Call) -> Result<Reply<Stored>, Failure> {
    let Store { content, tags, memory_type, metadata, memories: several, wait } = asked;
    let alone = tags.is_none() && memory_type.is_none() && metadata.is_empty();
    let all = match (content, several.is_empty()) {
        (Some(content), true) => vec![One { content, tags, memory_type, metadata }],
        (None, false) if alone => several,
        (None, false) => return Err(Failure::usage("tags, type and metadata are each memory's own", "put them there")),
        _ => return Err(Failure::usage("give either \"content\" or \"memories\"", "")),
    };
    let store = memories(&shared, wait)?;
    let stored = call.unless_cancelled(async { Ok(store.store(all.into_iter().map(new).collect()).await?) }).await?;
    let told = stored.iter().map(|one| {
        let what = if one.new { "stored" } else { "was there already" };
        let note = one.note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
        format!("{what}: {}{note}\n", one.content_hash)
    });
    let text: String = told.collect();
    let stored = stored.into_iter().map(|one| StoredOne {
        content_hash: one.content_hash,
        new: one.new,
        embedded: one.embedded,
        note: one.note,
    });
    Ok(Reply::new(text, Stored { stored: stored.collect() }))
}

fn new(one: One) -> NewMemory {
    NewMemory {
        tags: one.tags.map(Tags::list).unwrap_or_default(),
        memory_type: one.memory_type,
        metadata: one.metadata,
        ..NewMemory::new(one.content)
    }
}
