//! Storing, from many sides at once.

use std::{sync::Arc, time::Duration};

use dbmux_memory::{
    ErrorCode, Filter, List, Memories, MemoryError, MemoryOptions, Metadata, NewMemory, Retry, Search, SearchMode,
    content_hash,
};
use futures::future::{join_all, try_join_all};

use crate::support::{Letters, is_sound, memory, number, open, options, place, raw, words};

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_is_stored_and_found_again() {
    let place = place();
    let memories = words(&place);
    let mut new = memory("The staging host is called heron", &[" hosts", "staging", "hosts", ""]).of_type("fact");
    new.metadata.insert("source".to_owned(), "chat".into());
    let stored = memories.store(vec![new]).await.expect("stored");
    let hash = content_hash("The staging host is called heron");
    assert_eq!((stored[0].content_hash.as_str(), stored[0].new, stored[0].embedded), (hash.as_str(), true, false));
    let found = memories.get(&hash).await.expect("it is there");
    assert_eq!(found.content, "The staging host is called heron");
    assert_eq!((found.tags.join(","), found.memory_type.as_deref()), ("hosts,staging".to_owned(), Some("fact")));
    assert_eq!(found.metadata["source"], "chat");
    assert_eq!(found.created_at, found.updated_at);
    assert!(matches!(memories.get("beef").await, Err(MemoryError::NotFound { hash }) if hash == "beef"));
    is_sound(&place);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_text_twice_is_one_memory() {
    let place = place();
    let memories = words(&place);
    let metadata = |text: &str| serde_json::from_str::<Metadata>(text).expect("JSON");
    let first = NewMemory { metadata: metadata(r#"{"a": 1, "b": 1}"#), ..memory("Heron", &["x"]).of_type("fact") };
    let second = NewMemory { metadata: metadata(r#"{"b": null, "c": 2}"#), ..memory("  heron\n", &["y"]) };
    let stored = memories.store(vec![first.clone(), second]).await.expect("stored");
    assert_eq!(stored.iter().map(|stored| stored.new).collect::<Vec<_>>(), [true, false]);
    let stored = memories.store(vec![first]).await.expect("stored");
    assert!(!stored[0].new);
    let found = memories.get(&stored[0].content_hash).await.expect("it is there");
    assert_eq!((found.content.as_str(), found.tags.join(",")), ("Heron", "x,y".to_owned()));
    assert_eq!(found.metadata, metadata(r#"{"a": 1, "b": 1, "c": 2}"#));
    assert_eq!(found.memory_type.as_deref(), Some("fact"));
    assert_eq!(number(&place, "select count(*) from memories"), 1);
    is_sound(&place);
}

/// Each store has a client and sessions of its own, as processes have.
#[tokio::test(flavor = "multi_thread")]
async fn from_several_sessions_at_once_it_is_one_memory_with_all_tags() {
    let place = place();
    let stores: Vec<_> = (0..8).map(|_| words(&place)).collect();
    let calls = stores.iter().enumerate().flat_map(|(who, store)| {
        (0..5).map(move |turn| {
            let tag = format!("t{who}-{turn}");
            async move { store.store(vec![NewMemory::new("one and the same").tag(tag)]).await }
        })
    });
    let stored = try_join_all(calls).await.expect("all stored");
    let new = stored.iter().filter(|stored| stored[0].new).count();
    assert_eq!(new, 1, "one of them has made it");
    let found = stores[0].get(&content_hash("one and the same")).await.expect("it is there");
    assert_eq!(found.tags.len(), 40);
    assert_eq!(number(&place, "select count(*) from memories"), 1);
    is_sound(&place);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_many_stores_at_once_the_counts_are_equal() {
    const STORES: usize = 6;
    const EACH: usize = 50;
    let place = place();
    let stores: Vec<_> = (0..STORES).map(|_| words(&place)).collect();
    let run = |who: usize, store: Memories| async move {
        for number in 0..EACH {
            let new = NewMemory::new(format!("memory {number} of {who}")).tag("load");
            let stored = store.store(vec![new]).await.expect("stored");
            assert!(stored[0].new);
        }
    };
    join_all(stores.iter().cloned().enumerate().map(|(who, store)| run(who, store))).await;
    let expected = u64::try_from(STORES * EACH).expect("a number");
    let stats = stores[0].stats().await.expect("statistics");
    assert_eq!((stats.memories, stats.top_tags), (expected, vec![("load".to_owned(), expected)]));
    let found = stores[1].search(&Search::new("memory").limit(1000)).await.expect("a search");
    assert_eq!(found.hits.len(), STORES * EACH);
    is_sound(&place);
}

/// A broker that is killed in the middle loses nothing that was acknowledged, and what was not is stored once.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_loses_nothing_and_doubles_nothing() {
    let place = place();
    let memories = words(&place);
    memories.store(vec![NewMemory::new("the first")]).await.expect("stored");
    let storing = async {
        for number in 0..200 {
            let new = NewMemory::new(format!("number {number}")).tag(format!("n{number}"));
            memories.store(vec![new]).await.expect("stored in the end");
        }
    };
    let killing = async {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            tokio::task::block_in_place(|| place.kill_brokers());
        }
    };
    futures::join!(storing, killing);
    assert_eq!(number(&place, "select count(*) from memories"), 201);
    assert_eq!(number(&place, "select count(*) from memory_tags"), 200);
    is_sound(&place);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_store_is_of_the_kind_that_is_committed_together() {
    let place = place();
    let memories = words(&place);
    memories.store(vec![NewMemory::new("the first")]).await.expect("stored");
    let before = memories.client().stats().await.expect("a look").expect("a broker");
    let calls = (0..50).map(|number| memories.store(vec![NewMemory::new(format!("number {number}"))]));
    for stored in try_join_all(calls).await.expect("stored") {
        assert!(stored[0].new);
    }
    let after = memories.client().stats().await.expect("a look").expect("a broker");
    assert_eq!(after.merged_statements - before.merged_statements, 50, "each went into the lane");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_stored_whole() {
    let place = place();
    let memories = words(&place);
    let list: Vec<_> = (0..1234).map(|number| memory(&format!("entry {number}"), &["list"])).collect();
    let stored = memories.store(list.clone()).await.expect("stored");
    assert!(stored.iter().all(|stored| stored.new));
    assert_eq!(number(&place, "select count(*) from memories"), 1234);
    let again = memories.store(list).await.expect("stored");
    assert!(again.iter().all(|stored| !stored.new));
    // Some of them are new, one of those twice.
    let some = ["entry 7", "one more", "entry 8", "one more"].map(|text| memory(text, &["some"]));
    let stored = memories.store(some.to_vec()).await.expect("stored");
    assert_eq!(stored.iter().map(|stored| stored.new).collect::<Vec<_>>(), [false, true, false, false]);
    assert_eq!(number(&place, "select count(*) from memory_tags where tag = 'some'"), 3);
    assert!(memories.store(Vec::new()).await.expect("nothing").is_empty());
    // One that cannot be stored keeps all of them from it.
    let bad = memories.store(vec![NewMemory::new("good"), NewMemory::new(" ")]).await;
    assert!(matches!(bad, Err(MemoryError::InvalidArgument(_))));
    assert_eq!(number(&place, "select count(*) from memories"), 1235);
    is_sound(&place);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_any_kind_come_back_as_they_were() {
    let place = place();
    let memories = words(&place);
    let long = "lorem ipsum ".repeat(100_000);
    for text in
        ["it's \"quoted\"; -- DROP TABLE memories", "日本語 and emoji 🦊", "a\0b", "{\"json\": [1]}", long.as_str()]
    {
        let new = NewMemory { tags: vec![text.chars().take(20).collect()], ..NewMemory::new(text) };
        let stored = memories.store(vec![new]).await.expect("stored");
        let found = memories.get(&stored[0].content_hash).await.expect("it is there");
        assert_eq!((found.content.as_str(), found.tags.len()), (text, 1));
    }
    is_sound(&place);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_every_memory_once() {
    let place = place();
    let memories = words(&place);
    // Many of the same moment.
    memories.store((0..25).map(|number| memory(&format!("page {number}"), &[])).collect()).await.expect("stored");
    let mut list = List { limit: 10, count: true, ..List::default() };
    let (mut seen, mut pages) = (std::collections::HashSet::new(), 0);
    loop {
        let page = memories.list(&list).await.expect("a page");
        assert_eq!(page.total, Some(25));
        pages += 1;
        seen.extend(page.memories.into_iter().map(|memory| memory.content_hash));
        // Newer ones do not move the pages.
        memories.store(vec![memory(&format!("later {pages}"), &["later"])]).await.expect("stored");
        memories.delete(&dbmux_memory::Delete::of(Filter::tagged(["later"]))).await.expect("deleted");
        let Some(next) = page.next else { break };
        list.after = Some(next);
    }
    assert_eq!((seen.len(), pages), (25, 3));
    let page = memories.list(&List { offset: 20, ..List::default() }).await.expect("a page");
    assert_eq!((page.memories.len(), page.next, page.total), (5, None, None));
    let bad = memories.list(&List { after: Some("x".to_owned()), ..List::default() }).await;
    assert!(matches!(bad, Err(MemoryError::InvalidArgument(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_broker_is_an_error_with_its_holder_in_time() {
    let place = place();
    let memories = open(&place, MemoryOptions { retry: Retry::never(), ..options(&place) });
    memories.store(vec![NewMemory::new("the first")]).await.expect("stored");
    let stopped = place.stop_broker();
    let began = std::time::Instant::now();
    let read = memories.within(Duration::from_millis(300)).get("00").await.expect_err("nobody answers");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(read.is_temporary() || read.code() == ErrorCode::Reconnect, "{read}");
    assert_eq!(read.holder().map(|holder| holder.pid), Some(stopped.pid()), "{read}");
    assert!(read.suggestion().contains("CONT"), "{}", read.suggestion());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_is_bounded() {
    let place = place();
    let memories = open(&place, MemoryOptions { queue: 3, retry: Retry::never(), ..options(&place) });
    memories.store(vec![NewMemory::new("the first")]).await.expect("stored");
    let calls = (0..20).map(|number| memories.store(vec![NewMemory::new(format!("number {number}"))]));
    let outcomes = join_all(calls).await;
    let full = outcomes.iter().filter(|outcome| matches!(outcome, Err(MemoryError::QueueFull { depth: 3 }))).count();
    assert_eq!(full, 17);
    assert_eq!(memories.depth(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_store_is_refused_by_name() {
    let place = place();
    raw(&place, "memory.db", "create table memories (id integer)").await;
    let error = words(&place).stats().await.expect_err("it is another program's");
    assert!(matches!(&error, MemoryError::NotAStore { found, .. } if found.contains("memories")), "{error}");
    let other = Memories::open(place.path("newer.db"), options(&place)).expect("a store");
    other.store(vec![NewMemory::new("x")]).await.expect("stored");
    raw(&place, "newer.db", "update dbmux_memory set value = 99 where key = 'schema'").await;
    let other = Memories::open(place.path("newer.db"), options(&place)).expect("a store");
    assert!(matches!(other.stats().await, Err(MemoryError::Newer { found: 99, .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_only_reads_makes_nothing_and_changes_nothing() {
    let place = place();
    let mut reading = options(&place);
    reading.client.read_only = true;
    let reader = open(&place, reading);
    assert!(reader.stats().await.is_err());
    words(&place).store(vec![NewMemory::new("there")]).await.expect("stored");
    assert_eq!(reader.stats().await.expect("statistics").memories, 1);
    let refused = reader.store(vec![NewMemory::new("not there")]).await.expect_err("it only reads");
    assert_eq!(refused.code(), ErrorCode::ReadOnly);
    assert_eq!(number(&place, "select count(*) from memories"), 1);
}

/// Version 1 had one trigger, which did not say whether a memory was there before; in version 2 the codes were by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_store_is_brought_up_to_date() {
    brought_up_to_date_from(1).await;
    brought_up_to_date_from(2).await;
}

async fn brought_up_to_date_from(version: i64) {
    let place = place();
    let meaning = |options| open(&place, MemoryOptions { embedder: Some(Arc::new(Letters::default())), ..options });
    meaning(options(&place)).store(vec![memory("old", &["a"])]).await.expect("stored");
    let to_2 = [
        "drop trigger memory_codes_made",
        "drop trigger memory_codes_changed",
        "drop trigger memory_codes_gone",
        "drop table memory_code_blocks",
    ];
    let to_1 =
        [include_str!("version_1.sql"), "drop trigger memory_incoming_stored", "drop trigger memory_incoming_done"];
    let back = to_2.iter().chain(to_1.iter().filter(|_| version == 1));
    for sql in back
        .map(|sql| (*sql).to_owned())
        .chain([format!("update dbmux_memory set value = {version} where key = 'schema'")])
    {
        raw(&place, "memory.db", &sql).await;
    }
    let mut reading = options(&place);
    reading.client.read_only = true;
    let reader = meaning(reading);
    assert_eq!(reader.stats().await.expect("it reads what is older").memories, 1);
    let old = Search::new("lod").mode(SearchMode::Semantic);
    assert_eq!(reader.search(&old).await.expect("a search").hits.len(), 1);
    let stores: Vec<_> = (0..4).map(|_| words(&place)).collect();
    let stored =
        join_all(stores.iter().map(|store| store.store(vec![memory("old", &["b"]), memory("new", &[])]))).await;
    let new: Vec<_> = stored.into_iter().flat_map(|stored| stored.expect("stored")).filter(|one| one.new).collect();
    assert_eq!(new.len(), 1, "{new:?}");
    assert_eq!(stores[0].health().await.expect("health").schema, 3);
    assert_eq!(number(&place, "select count(*) from sqlite_schema where name like 'memory_incoming_%'"), 2);
    assert_eq!(number(&place, "select count(*) from memory_tags"), 2);
    assert_eq!(reader.search(&old).await.expect("a search").hits.len(), 1);
    is_sound(&place);
}
