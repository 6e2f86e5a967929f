//! Arguments that several of these tools take.

use dbmux_memory::{Filter, Memories, TagMatch, TimeRange, Zoned, time_range};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{failure::Failure, server::Shared, tools::arguments};

/// Tags: a list, or a text with commas.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Tags {
    /// A list.
    List(Vec<String>),
    /// With commas between them.
    Text(String),
}

impl Tags {
    pub(super) fn list(self) -> Vec<String> {
        match self {
            Self::List(tags) => tags,
            Self::Text(text) => {
                text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
            }
        }
    }
}

/// How many of the tags a memory must have.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Match {
    #[default]
    Any,
    All,
}

/// Which memories are meant.
pub(super) fn filter(
    tags: Option<Tags>,
    tag_match: Match,
    memory_type: Option<String>,
    time: Option<&str>,
) -> Result<Filter, Failure> {
    let tag_match = match tag_match {
        Match::Any => TagMatch::Any,
        Match::All => TagMatch::All,
    };
    // A condition that is given and empty is none, and is not to widen what is meant.
    let blank = |text: &str| text.trim().is_empty();
    let tags = tags.map(Tags::list);
    if tags.as_ref().is_some_and(|tags| tags.iter().all(|tag| blank(tag))) {
        return Err(Failure::usage("\"tags\" names none", "leave it out"));
    }
    if memory_type.as_deref().is_some_and(blank) || time.is_some_and(blank) {
        return Err(Failure::usage("\"memory_type\" or \"time\" is empty", "leave it out"));
    }
    let time = time.map(|text| time_range(text, &Zoned::now())).transpose()?.unwrap_or(TimeRange::default());
    Ok(Filter { tags: tags.unwrap_or_default(), tag_match, memory_type, time, hashes: Vec::new() })
}

/// The store, for a call that takes at most this long.
pub(super) fn memories(shared: &Shared, wait: Option<f64>) -> Result<Memories, Failure> {
    let none = || Failure::usage("this server has no memories", "start it with them: dbmux mcp --memory");
    let memories = shared.memories.as_ref().ok_or_else(none)?;
    Ok(arguments::wait(wait)?.map_or_else(|| memories.clone(), |wait| memories.within(wait)))
}
