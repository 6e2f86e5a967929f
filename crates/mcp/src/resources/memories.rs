//! Memories by tag.

use dbmux_memory::{Filter, List};
use rmcp::model::{Resource, ResourceTemplate};

use super::{Found, unescaped};
use crate::{call::Call, failure::Failure, server::Shared};

/// The tags, with how many memories each has.
const TAGS: &str = "dbmux://memory/tags";
/// Before a tag.
const PREFIX: &str = "dbmux://memory/tag/";
/// How many of a tag's memories are told, the newest ones.
const MOST: usize = 200;

/// The list of tags. Opens nothing: clients list resources whenever a session begins.
pub(super) fn all(shared: &Shared) -> Option<Resource> {
    shared.memories.as_ref()?;
    let tags = Resource::new(TAGS, "memory tags");
    Some(tags.with_description("The most frequent tags of memories").with_mime_type("application/json"))
}

/// How the memories of a tag are asked for.
pub(super) fn template(shared: &Shared) -> Option<ResourceTemplate> {
    shared.memories.as_ref()?;
    let template = ResourceTemplate::new(format!("{PREFIX}{{tag}}"), "memories with a tag");
    Some(template.with_description("The memories that have this tag").with_mime_type("application/json"))
}

/// What is in one; `None`: it is none of these.
pub(super) async fn read(shared: &Shared, asked: &str, call: &Call) -> Result<Option<Found>, Failure> {
    let Some(memories) = &shared.memories else { return Ok(None) };
    let text = if asked == TAGS {
        let stats = call.unless_cancelled(async { Ok(memories.stats().await?) }).await?;
        let tags = stats.top_tags.iter().map(|(tag, count)| serde_json::json!({ "tag": tag, "memories": count }));
        serde_json::to_string_pretty(&tags.collect::<Vec<_>>())
    } else if let Some(tag) = asked.strip_prefix(PREFIX).and_then(unescaped).filter(|tag| !tag.is_empty()) {
        let filter = Filter { tags: vec![tag], ..Filter::default() };
        let list = List { filter, limit: MOST, ..List::default() };
        let page = call.unless_cancelled(async { Ok(memories.list(&list).await?) }).await?;
        serde_json::to_string_pretty(&page)
    } else {
        return Ok(None);
    };
    Ok(Some(Found { text: text.unwrap_or_default(), kind: "application/json" }))
}
