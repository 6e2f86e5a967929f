//! `memory_list`.

use std::sync::Arc;

use dbmux_memory::List;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::arguments::given;
use super::{
    Object,
    arguments::{Match, Tags, filter, memories},
    object, shown,
};
use crate::{call::Call, failure::Failure, reply::Reply, server::Shared};

/// Memories of a page, where the caller does not say.
const PAGE: usize = 20;

/// Which page, of which memories.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    /// Only those with these tags.
    tags: Option<Tags>,
    /// Whether one of the tags is enough, or all must be there.
    #[serde(default, deserialize_with = "given")]
    tag_match: Match,
    /// Only those of this type.
    #[serde(alias = "type")]
    memory_type: Option<String>,
    /// Only those stored in this time: "last week", "2025-03", "since 2025-01-01".
    time: Option<String>,
    /// How many at most: 20 where it is left out, up to 1000.
    #[serde(alias = "page_size")]
    limit: Option<usize>,
    /// Where the last page ended: its next_cursor.
    cursor: Option<String>,
    /// Seconds to wait for others. 0 never waits.
    wait: Option<f64>,
}

/// A page of memories, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Page {
    memories: Vec<Object>,
    /// How many there are on all pages.
    total: Option<u64>,
    /// Call `memory_list` with it for the next page; absent at the end.
    next_cursor: Option<String>,
    /// Set where a snapshot answered: the time as of which it is true.
    as_of: Option<String>,
}

pub(super) async fn run(shared: Arc<Shared>, asked: Ask, call: Call) -> Result<Reply<Page>, Failure> {
    let filter = filter(asked.tags, asked.tag_match, asked.memory_type, asked.time.as_deref())?;
    let list = List { filter, limit: asked.limit.unwrap_or(PAGE), after: asked.cursor, count: true, ..List::default() };
    let store = memories(&shared, asked.wait)?;
    let page = call.unless_cancelled(async { Ok(store.list(&list).await?) }).await?;
    let mut text = page.memories.iter().map(shown).collect::<Vec<_>>().join("\n");
    text.push_str(&format!("({} of {})\n", page.memories.len(), page.total.unwrap_or_default()));
    let memories = page.memories.iter().map(object).collect();
    Ok(Reply::new(text, Page { memories, total: page.total, next_cursor: page.next, as_of: page.as_of }))
}
