//! `memory_delete`.

use std::sync::Arc;

use dbmux_memory::Delete;
use dbmux_report::person;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::arguments::given;
use super::arguments::{Match, Tags, filter, memories};
use crate::{call::Call, failure::Failure, reply::Reply, server::Shared};

/// What to delete.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    /// The memory of this hash, whole.
    content_hash: Option<String>,
    /// Those of these hashes.
    #[serde(default, deserialize_with = "given")]
    content_hashes: Vec<String>,
    /// Those with these tags.
    tags: Option<Tags>,
    /// Whether one of the tags is enough, or all must be there.
    #[serde(default, deserialize_with = "given")]
    tag_match: Match,
    /// Those of this type.
    #[serde(alias = "type")]
    memory_type: Option<String>,
    /// Those stored in this time: "before 2024", "last week".
    time: Option<String>,
    /// Only tell which they are: so where it is left out, unless one `content_hash` and nothing else is given.
    dry_run: Option<bool>,
    /// Seconds to wait for others. 0 never waits.
    wait: Option<f64>,
}

/// What was deleted, or would be.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Deleted {
    content_hashes: Vec<String>,
    /// Nothing was deleted.
    dry_run: bool,
}

pub(super) async fn run(shared: Arc<Shared>, asked: Ask, call: Call) -> Result<Reply<Deleted>, Failure> {
    let mut filter = filter(asked.tags, asked.tag_match, asked.memory_type, asked.time.as_deref())?;
    // Whoever names one memory means it; what anything else lets through is looked at first.
    let one = asked.content_hash.is_some() && asked.content_hashes.is_empty() && filter.is_empty();
    let dry_run = asked.dry_run.unwrap_or(!one);
    filter.hashes = asked.content_hash.into_iter().chain(asked.content_hashes).collect();
    let delete = Delete { dry_run, ..Delete::of(filter) };
    let store = memories(&shared, asked.wait)?;
    let deleted = call.unless_cancelled(async { Ok(store.delete(&delete).await?) }).await?;
    let count = person::count(deleted.content_hashes.len() as u64);
    let text = match deleted.dry_run {
        true => format!("{count} would be deleted; nothing was: call it with \"dry_run\": false"),
        false => format!("{count} deleted"),
    };
    Ok(Reply::new(text, Deleted { content_hashes: deleted.content_hashes, dry_run: deleted.dry_run }))
}
