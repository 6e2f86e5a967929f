//! `code-index DB search`: one query, and what it found.

use serde_json::{Value, json};

use crate::{
    args::{Arguments, Search},
    embed::{embed, words},
    failure::Failure,
    report::print,
    store::{Hit, Query, Store},
};

/// Characters of a chunk's first line that are shown.
const SHOWN: usize = 100;

pub(crate) async fn run(arguments: &Arguments, search: &Search) -> Result<(), Failure> {
    let mut words = words(&search.words);
    let vector = embed(&search.words);
    words.sort();
    words.dedup();
    let query = Query {
        by: search.by,
        words: &words,
        vector: &vector,
        language: search.language.as_deref(),
        provider: &search.provider,
        limit: search.limit,
    };
    // What has no words is like nothing.
    let hits = if words.is_empty() { Vec::new() } else { Store::reading(arguments).await?.search(&query).await? };
    if arguments.json {
        return print(&Value::from_iter(hits.iter().map(object)).to_string());
    }
    hits.iter().try_for_each(|hit| print(&line(hit)))
}

fn object(hit: &Hit) -> Value {
    json!({"path": hit.path, "line": hit.line, "language": hit.language, "score": hit.score, "text": hit.text})
}

fn line(hit: &Hit) -> String {
    let first = hit.text.lines().find(|line| line.contains(char::is_alphanumeric)).unwrap_or_default();
    let shown: String = first.trim().chars().take(SHOWN).collect();
    format!("{:.3}  {}:{}  {shown}", hit.score, hit.path, hit.line)
}
