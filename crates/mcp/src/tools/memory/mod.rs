//! Tools for memories, with the names that users of memory servers know.

mod arguments;
mod delete;
mod list;
mod search;
mod stats;
mod store;
mod update;

use dbmux_memory::Memory;
use serde_json::{Map, Value};

use crate::tool::{Does, Tool};

/// A memory as an object: `content`, `content_hash`, `tags`, `memory_type`, `metadata`, `created_at` and `updated_at` (seconds
/// since 1970, and as text in `…_iso`), `embedding_model`.
type Object = Map<String, Value>;

/// All of them.
pub(super) fn all() -> Vec<Tool> {
    vec![
        Tool::new("memory_store", Does::Adds, STORE, store::run),
        Tool::new("memory_search", Does::Reads, SEARCH, search::run),
        Tool::new("memory_list", Does::Reads, "List memories page by page, the newest first.", list::run),
        Tool::new(
            "memory_update",
            Does::Writes,
            "Change a memory: its text, tags, type or metadata. What is not given stays.",
            update::run,
        ),
        Tool::new("memory_delete", Does::Writes, DELETE, delete::run),
        Tool::new(
            "memory_health",
            Does::Reads,
            "Whether the store of memories is well: its version, its embedder, and whether its index is true.",
            stats::health,
        ),
        Tool::new("memory_stats", Does::Reads, "How many memories there are, of which tags and types.", stats::stats),
        // As other memory servers call them.
        Tool::new("store_memory", Does::Adds, STORE, store::run),
        Tool::new("retrieve_memory", Does::Reads, SEARCH, search::run),
        Tool::new(
            "recall_memory",
            Does::Reads,
            "Search memories by a text that may say when: \"what did we decide about tea last week\".",
            search::recall,
        ),
        Tool::new("search_by_tag", Does::Reads, "List the memories that have one of these tags.", search::by_tag),
        Tool::new("delete_memory", Does::Writes, DELETE, delete::run),
    ]
}

const STORE: &str = "Store a memory, or several, for this and all later sessions: a fact, a decision, a preference. The same \
    text twice is one memory, whose tags are merged.";
const SEARCH: &str = "Search memories by meaning and by words. Use it before answering what earlier sessions may have settled. \
    Where nothing makes vectors, words alone are looked for, and the answer says so.";
const DELETE: &str = "Delete memories: by their hashes, their tags, or the time they were stored. One hash is deleted at once; of \
    anything else it only tells which, unless dry_run is false.";

fn object(memory: &Memory) -> Object {
    // A memory is an object as JSON.
    serde_json::to_value(memory).ok().and_then(|value| value.as_object().cloned()).unwrap_or_default()
}

/// A memory in some lines.
fn shown(memory: &Memory) -> String {
    let tags = if memory.tags.is_empty() { String::new() } else { format!(", {}", memory.tags.join(", ")) };
    let hash = memory.content_hash.get(..12).unwrap_or(&memory.content_hash);
    format!("[{hash}, {}{tags}]\n{}\n", memory.created_at.strftime("%Y-%m-%d"), memory.content)
}
