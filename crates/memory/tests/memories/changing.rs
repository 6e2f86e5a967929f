//! Changing, deleting, and counting.

use std::sync::Arc;

use dbmux_memory::{
    Delete, Filter, MemoryError, Metadata, Search, SearchMode, Stats, TagChange, TimeRange, Timestamp, Update,
    content_hash,
};
use futures::future::try_join_all;

use crate::support::{Letters, is_sound, memory, number, place, with, words};

fn list(tags: &[&str]) -> Vec<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_keeps_the_words_and_the_vectors_true() {
    let place = place();
    let embedder = Arc::new(Letters::default());
    let memories = with(&place, embedder.clone());
    let hash = memories.store(vec![memory("the old text", &["a"])]).await.expect("stored").remove(0).content_hash;
    let update = Update { content: Some("another wording".to_owned()), ..Update::default() };
    let changed = memories.update(&hash, &update).await.expect("changed");
    assert_eq!(changed.content_hash, content_hash("another wording"));
    assert!(changed.updated_at > changed.created_at);
    assert_eq!((changed.tags.as_slice(), changed.embedding_model.as_deref()), (&list(&["a"])[..], Some("letters")));
    let exact = |query: &str| Search::new(query).mode(SearchMode::Exact);
    assert!(memories.search(&exact("old")).await.expect("a search").hits.is_empty());
    assert_eq!(memories.search(&exact("wording")).await.expect("a search").hits.len(), 1);
    let meaning = Search::new("another wording").mode(SearchMode::Semantic);
    assert!(memories.search(&meaning).await.expect("a search").hits[0].score > 0.999);
    assert!(matches!(memories.update(&hash, &update).await, Err(MemoryError::NotFound { .. })));
    is_sound(&place);
    // By one who has no embedder the vector of what it was goes.
    let again = Update { content: Some("a third one".to_owned()), ..Update::default() };
    let changed = words(&place).update(&changed.content_hash, &again).await.expect("changed");
    assert_eq!(changed.embedding_model, None);
    // Only the case: it is the same memory.
    let case = Update { content: Some("A THIRD ONE".to_owned()), ..Update::default() };
    let same = memories.update(&changed.content_hash, &case).await.expect("changed");
    assert_eq!((same.content.as_str(), same.content_hash), ("A THIRD ONE", changed.content_hash));
    is_sound(&place);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_type_and_metadata_are_changed_by_themselves() {
    let place = place();
    let memories = words(&place);
    let new = memory("x", &["a", "b"]).of_type("note");
    let hash = memories.store(vec![new]).await.expect("stored").remove(0).content_hash;
    let tags = |tags| Update { tags, ..Update::default() };
    let change = TagChange::Change { add: list(&["c", "b"]), remove: list(&["a", "z"]) };
    assert_eq!(memories.update(&hash, &tags(change)).await.expect("changed").tags, ["b", "c"]);
    assert_eq!(memories.update(&hash, &tags(TagChange::Set(list(&["d"])))).await.expect("changed").tags, ["d"]);
    let metadata = |text: &str, replace_metadata| Update {
        metadata: serde_json::from_str(text).expect("JSON"),
        replace_metadata,
        ..Update::default()
    };
    memories.update(&hash, &metadata(r#"{"a": 1, "b": {"c": 2}}"#, false)).await.expect("changed");
    let merged = memories.update(&hash, &metadata(r#"{"a": null, "d": 3}"#, false)).await.expect("changed");
    let expected: Metadata = serde_json::from_str(r#"{"b": {"c": 2}, "d": 3}"#).expect("JSON");
    assert_eq!(merged.metadata, expected);
    let replaced = memories.update(&hash, &metadata("{}", true)).await.expect("changed");
    assert!(replaced.metadata.is_empty());
    assert_eq!((replaced.memory_type.as_deref(), replaced.tags.join(",").as_str()), (Some("note"), "d"));
    let none = Update { memory_type: Some(String::new()), ..Update::default() };
    assert_eq!(memories.update(&hash, &none).await.expect("changed").memory_type, None);
    assert!(matches!(memories.update(&hash, &Update::default()).await, Err(MemoryError::InvalidArgument(_))));
    is_sound(&place);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_memories_never_become_one() {
    let place = place();
    let memories = words(&place);
    memories.store(vec![memory("one", &["a"]), memory("two", &[])]).await.expect("stored");
    let update = Update { content: Some("ONE".to_owned()), tags: TagChange::Set(list(&["b"])), ..Update::default() };
    let refused = memories.update(&content_hash("two"), &update).await.expect_err("it is there");
    assert!(matches!(refused, MemoryError::Duplicate { hash } if hash == content_hash("one")));
    // All of the change, or nothing.
    assert!(memories.get(&content_hash("two")).await.expect("it is there").tags.is_empty());
    is_sound(&place);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_from_many_sides_are_all_there() {
    let place = place();
    let memories = words(&place);
    let hash = memories.store(vec![memory("x", &[])]).await.expect("stored").remove(0).content_hash;
    let updates: Vec<_> = (0..40)
        .map(|number| Update {
            tags: TagChange::Change { add: vec![format!("t{number}")], remove: Vec::new() },
            metadata: serde_json::from_str(&format!(r#"{{"k{number}": {number}}}"#)).expect("JSON"),
            ..Update::default()
        })
        .collect();
    try_join_all(updates.iter().map(|update| memories.update(&hash, update))).await.expect("all changed");
    let found = memories.get(&hash).await.expect("it is there");
    assert_eq!((found.tags.len(), found.metadata.len()), (40, 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_deletes_nothing_and_a_real_one_what_it_said() {
    let place = place();
    let memories = with(&place, Arc::new(Letters::default()));
    let texts = ["one", "two", "three", "four"];
    let new = texts.iter().map(|text| memory(text, if text.starts_with('t') { &["t"] } else { &[] }));
    memories.store(new.collect()).await.expect("stored");
    let delete = Delete::of(Filter::tagged(["t"]));
    let dry = memories.delete(&delete.clone().dry_run()).await.expect("a dry run");
    assert_eq!((dry.dry_run, dry.content_hashes.len()), (true, 2));
    assert_eq!(number(&place, "select count(*) from memories"), 4);
    let real = memories.delete(&delete).await.expect("deleted");
    assert_eq!((real.dry_run, &real.content_hashes), (false, &dry.content_hashes));
    assert_eq!(number(&place, "select count(*) from memories"), 2);
    is_sound(&place);
    assert!(memories.delete(&delete).await.expect("nothing").content_hashes.is_empty());
    let by_hash = Delete::of(Filter::hashes([content_hash("one").to_uppercase()]));
    assert_eq!(memories.delete(&by_hash).await.expect("deleted").content_hashes, [content_hash("one")]);
    // Nothing says which.
    assert!(matches!(memories.delete(&Delete::default()).await, Err(MemoryError::InvalidArgument(_))));
    let past = TimeRange { from: None, to: Some(Timestamp::now()) };
    let by_time = Delete::of(Filter { time: past, ..Filter::default() });
    assert_eq!(memories.delete(&by_time).await.expect("deleted").content_hashes.len(), 1);
    let everything = Delete { everything: true, ..Delete::default() };
    assert!(memories.delete(&everything).await.expect("deleted").content_hashes.is_empty());
    is_sound(&place);
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_say_what_there_is() {
    let place = place();
    let memories = with(&place, Arc::new(Letters::default()));
    let empty = memories.stats().await.expect("statistics");
    assert_eq!((empty.memories, empty.oldest, empty.newest), (0, None, None));
    memories
        .store(vec![
            memory("one", &["a", "b"]).of_type("note"),
            memory("two", &["a"]).of_type("note"),
            memory("äh", &[]),
        ])
        .await
        .expect("stored");
    words(&place).store(vec![memory("without", &[])]).await.expect("stored");
    let Stats { memories: count, tags, by_type, top_tags, embedded, content_bytes, file_bytes, oldest, .. } =
        memories.stats().await.expect("statistics");
    assert_eq!((count, tags, content_bytes), (4, 2, 16));
    assert_eq!((by_type["note"], by_type[""], embedded["letters"]), (2, 2, 3));
    assert_eq!(top_tags, [("a".to_owned(), 2), ("b".to_owned(), 1)]);
    assert!(file_bytes > 4096 && oldest.expect("a moment").parse::<Timestamp>().is_ok());
    let health = memories.health().await.expect("health");
    assert_eq!((health.schema, health.memories, health.without_vector), (3, 4, 1));
    assert!(health.words_are_true && health.broker_pid.is_some() && health.vectors.starts_with('v'));
}
