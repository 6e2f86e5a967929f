//! `memory_search`, `recall_memory`, `search_by_tag`.

use std::sync::Arc;

use dbmux_memory::{Found, Memories, Search, SearchMode, Zoned, time_in};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::arguments::given;
use super::{
    Object,
    arguments::{Match, Tags, filter, memories},
    object, shown,
};
use crate::{call::Call, failure::Failure, reply::Reply, server::Shared};

/// Memories, where the caller does not say how many.
const HITS: usize = 10;

/// What to look for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    /// In words. Empty: the newest that the other arguments let through.
    #[serde(default, deserialize_with = "given")]
    query: String,
    /// By meaning, by words that must all be there, or by both.
    #[serde(default, deserialize_with = "given")]
    mode: Mode,
    /// Only those with these tags.
    tags: Option<Tags>,
    /// Whether one of the tags is enough, or all must be there.
    #[serde(default, deserialize_with = "given")]
    tag_match: Match,
    /// Only those of this type.
    #[serde(alias = "type")]
    memory_type: Option<String>,
    /// Only those stored in this time: "last week", "yesterday", "2025-03", "since 2025-01-01".
    time: Option<String>,
    /// How many at most: 10 where it is left out, up to 1000.
    #[serde(alias = "n_results")]
    limit: Option<usize>,
    /// The least score, from 0 to 1.
    #[serde(default, alias = "quality", deserialize_with = "given")]
    min_score: f64,
    /// Seconds to wait for others. 0 never waits.
    wait: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Semantic,
    Exact,
    #[default]
    Hybrid,
}

/// What `recall_memory` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recall {
    /// In words, with the time among them, if any.
    query: String,
    /// How many at most: 10 where it is left out.
    #[serde(alias = "n_results")]
    limit: Option<usize>,
    /// Seconds to wait for others. 0 never waits.
    wait: Option<f64>,
}

/// What `search_by_tag` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ByTag {
    /// A list, or a text with commas.
    tags: Tags,
    /// Whether one of the tags is enough, or all must be there.
    #[serde(default, deserialize_with = "given")]
    tag_match: Match,
    /// How many at most: 10 where it is left out.
    #[serde(alias = "n_results")]
    limit: Option<usize>,
    /// Seconds to wait for others. 0 never waits.
    wait: Option<f64>,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Hits {
    /// Best first.
    memories: Vec<Hit>,
    /// How they were looked for: `semantic`, `exact` or `hybrid`.
    mode_used: SearchedBy,
    /// What should be known of this answer.
    note: Option<String>,
    /// Set where a snapshot answered: the time as of which it is true.
    as_of: Option<String>,
}

/// A memory, with how good it is.
#[derive(Debug, Serialize, JsonSchema)]
struct Hit {
    /// From 0 to 1.
    score: f64,
    memory: Object,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum SearchedBy {
    Semantic,
    Exact,
    Hybrid,
}

pub(super) async fn run(shared: Arc<Shared>, asked: Ask, call: Call) -> Result<Reply<Hits>, Failure> {
    let mode = match asked.mode {
        Mode::Semantic => SearchMode::Semantic,
        Mode::Exact => SearchMode::Exact,
        Mode::Hybrid => SearchMode::Hybrid,
    };
    let filter = filter(asked.tags, asked.tag_match, asked.memory_type, asked.time.as_deref())?;
    let search = Search::new(asked.query).mode(mode).filter(filter).limit(asked.limit.unwrap_or(HITS));
    search_in(&memories(&shared, asked.wait)?, &Search { min_score: asked.min_score, ..search }, &call).await
}

pub(super) async fn recall(shared: Arc<Shared>, asked: Recall, call: Call) -> Result<Reply<Hits>, Failure> {
    let (time, rest) = time_in(&asked.query, &Zoned::now());
    let mut search = Search::new(rest).limit(asked.limit.unwrap_or(HITS));
    search.filter.time = time.unwrap_or_default();
    search_in(&memories(&shared, asked.wait)?, &search, &call).await
}

pub(super) async fn by_tag(shared: Arc<Shared>, asked: ByTag, call: Call) -> Result<Reply<Hits>, Failure> {
    let filter = filter(Some(asked.tags), asked.tag_match, None, None)?;
    let search = Search::new("").filter(filter).limit(asked.limit.unwrap_or(HITS));
    search_in(&memories(&shared, asked.wait)?, &search, &call).await
}

async fn search_in(memories: &Memories, search: &Search, call: &Call) -> Result<Reply<Hits>, Failure> {
    let found = call.unless_cancelled(async { Ok(memories.search(search).await?) }).await?;
    let mut text: String =
        found.hits.iter().map(|hit| format!("{:.2} {}", hit.score, shown(&hit.memory))).collect::<Vec<_>>().join("\n");
    if found.hits.is_empty() {
        text.push_str("nothing was found\n");
    }
    if let Some(note) = &found.note {
        text.push_str(&format!("\n({note})\n"));
    }
    Ok(Reply::new(text, hits(found)))
}

fn hits(found: Found) -> Hits {
    Hits {
        memories: found.hits.iter().map(|hit| Hit { score: hit.score, memory: object(&hit.memory) }).collect(),
        mode_used: match found.mode_used {
            SearchMode::Semantic => SearchedBy::Semantic,
            SearchMode::Exact => SearchedBy::Exact,
            _ => SearchedBy::Hybrid,
        },
        note: found.note,
        as_of: found.as_of,
    }
}
