//! `memory_update`.

use std::sync::Arc;

use dbmux_memory::{TagChange, Update};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::arguments::given;
use super::{
    Object,
    arguments::{Tags, memories},
    object, shown,
};
use crate::{call::Call, failure::Failure, reply::Reply, server::Shared};

/// What to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// The memory's hash, whole.
    content_hash: String,
    /// Another text. The memory has another hash then.
    content: Option<String>,
    /// The tags that it has from now on, and no others.
    tags: Option<Tags>,
    /// Instead of `tags`: some that it gets.
    add_tags: Option<Tags>,
    /// Instead of `tags`: some that it loses.
    remove_tags: Option<Tags>,
    /// Another type; an empty one is none.
    #[serde(alias = "type")]
    memory_type: Option<String>,
    /// What else is known: a key's new value counts, null removes it, others stay.
    metadata: Option<Map<String, Value>>,
    /// The metadata is what is given here, and nothing else.
    #[serde(default, deserialize_with = "given")]
    replace_metadata: bool,
    /// Seconds to wait for others. 0 never waits.
    wait: Option<f64>,
}

/// The memory as it is now.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Changed {
    memory: Object,
}

pub(super) async fn run(shared: Arc<Shared>, asked: Change, call: Call) -> Result<Reply<Changed>, Failure> {
    let list = |tags: Option<Tags>| tags.map(Tags::list).unwrap_or_default();
    let tags = match (asked.tags, asked.add_tags.is_some() || asked.remove_tags.is_some()) {
        (None, false) => TagChange::Keep,
        (Some(tags), false) => TagChange::Set(tags.list()),
        (None, true) => TagChange::Change { add: list(asked.add_tags), remove: list(asked.remove_tags) },
        (Some(_), true) => return Err(Failure::usage("give either \"tags\", or those to add and remove", "")),
    };
    let update = Update {
        content: asked.content,
        tags,
        memory_type: asked.memory_type,
        metadata: asked.metadata,
        replace_metadata: asked.replace_metadata,
    };
    let store = memories(&shared, asked.wait)?;
    let memory = call.unless_cancelled(async { Ok(store.update(&asked.content_hash, &update).await?) }).await?;
    Ok(Reply::new(shown(&memory), Changed { memory: object(&memory) }))
}
