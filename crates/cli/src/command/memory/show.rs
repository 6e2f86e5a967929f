//! What a person, or a program, is told of memories.

use std::io::Write;

use dbmux_memory::{Deleted, Found, Imported, Memory, Page, Reembedded, Stats, Stored};
use dbmux_report::person;
use serde_json::{Value, json};

use crate::{failure::Failure, render};

/// Characters of a hash that are shown; no two memories of one store are likely to have the same.
const HASH: usize = 12;

fn tell(text: &str) -> Result<(), Failure> {
    Ok(write!(render::report_output(), "{text}")?)
}

fn tell_json(value: &Value) -> Result<(), Failure> {
    tell(&format!("{value}\n"))
}

pub(super) fn stored(stored: &[Stored], json: bool) -> Result<(), Failure> {
    if json {
        return tell_json(&json!(stored));
    }
    for one in stored {
        let what = if one.new { "stored" } else { "was there already, its tags are merged" };
        tell(&format!("{}: {what}\n", one.content_hash))?;
        if let Some(note) = &one.note {
            render::note(&format!("note: {note}"));
        }
    }
    Ok(())
}

/// One array of memories.
pub(super) fn memories(memories: &[Memory], json: bool) -> Result<(), Failure> {
    if json {
        return tell_json(&json!(memories));
    }
    memories.iter().try_for_each(|memory| tell(&shown(memory, None)))
}

/// One array of memories, each with its score.
pub(super) fn found(found: &Found, json: bool) -> Result<(), Failure> {
    if let Some(note) = &found.note {
        render::note(&format!("note: {note}"));
    }
    if let Some(as_of) = &found.as_of {
        render::as_of(as_of);
    }
    if json {
        return tell_json(&json!(found.hits));
    }
    found.hits.iter().try_for_each(|hit| tell(&shown(&hit.memory, Some(hit.score))))
}

pub(super) fn page(page: &Page, json: bool) -> Result<(), Failure> {
    if let Some(as_of) = &page.as_of {
        render::as_of(as_of);
    }
    memories(&page.memories, json)?;
    if let Some(total) = page.total.filter(|total| *total > page.memories.len() as u64) {
        render::note(&format!("{} of {}", page.memories.len(), person::count(total)));
    }
    Ok(())
}

pub(super) fn deleted(deleted: &Deleted, json: bool) -> Result<(), Failure> {
    if json {
        return tell_json(&json!(deleted));
    }
    let count = person::count(deleted.content_hashes.len() as u64);
    if !deleted.dry_run {
        return tell(&format!("{count} deleted\n"));
    }
    deleted.content_hashes.iter().try_for_each(|hash| tell(&format!("{hash}\n")))?;
    render::note(&format!("{count} would be deleted; --yes deletes them"));
    Ok(())
}

pub(super) fn stats(stats: &Stats, json: bool) -> Result<(), Failure> {
    let value = json!(stats);
    if json {
        return tell_json(&value);
    }
    let figures = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    figures.into_iter().try_for_each(|(name, value)| tell(&format!("{:<16}{value}\n", name.replace('_', " "))))
}

pub(super) fn imported(imported: &Imported, json: bool) -> Result<(), Failure> {
    if json {
        return tell_json(&json!(imported));
    }
    if let Some(note) = &imported.note {
        render::note(&format!("note: {note}"));
    }
    let [read, new, embedded] = [imported.read, imported.new, imported.embedded].map(person::count);
    tell(&format!("{read} read, {new} of them new, {embedded} with a vector\n"))
}

pub(super) fn reembedded(done: &Reembedded, json: bool) -> Result<(), Failure> {
    if json {
        return tell_json(&json!(done));
    }
    tell(&format!("{} embedded\n", person::count(done.embedded)))
}

fn shown(memory: &Memory, score: Option<f64>) -> String {
    let score = score.map_or(String::new(), |score| format!("{score:.2}  "));
    let tags = if memory.tags.is_empty() { String::new() } else { format!("  {}", memory.tags.join(", ")) };
    let kind = memory.memory_type.as_ref().map_or(String::new(), |kind| format!("  {kind}"));
    let hash = memory.content_hash.get(..HASH).unwrap_or(&memory.content_hash);
    let day = memory.created_at.to_string();
    let day = day.get(..10).unwrap_or(&day);
    format!("{score}{hash}  {day}{kind}{tags}\n  {}\n", memory.content.trim_end().replace('\n', "\n  "))
}
