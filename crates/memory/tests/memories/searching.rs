//! Finding memories.

use std::sync::Arc;

use dbmux_memory::{
    Delete, Filter, Found, Memories, MemoryError, NewMemory, Search, SearchMode, TagMatch, TimeRange, Timestamp,
    Update, Zoned, time_range,
};

use crate::support::{Chance, Letters, is_sound, memory, number, place, with, words};

fn contents(found: &Found) -> Vec<&str> {
    found.hits.iter().map(|hit| hit.memory.content.as_str()).collect()
}

async fn exact(memories: &Memories, query: &str, filter: Filter) -> Vec<String> {
    let search = Search::new(query).mode(SearchMode::Exact).filter(filter);
    let found = memories.search(&search).await.expect("a search");
    assert_eq!(found.mode_used, SearchMode::Exact);
    let mut contents: Vec<_> = contents(&found).into_iter().map(str::to_owned).collect();
    contents.sort();
    contents
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_found_all_of_them() {
    let place = place();
    let memories = words(&place);
    let texts = ["the red fox runs", "the red car", "a fox in the hen house, red as rust", "nothing of it", "Füchse"];
    memories.store(texts.iter().map(|text| memory(text, &[])).collect()).await.expect("stored");
    let all = Filter::default;
    assert_eq!(exact(&memories, "red fox", all()).await, [texts[2], texts[0]]);
    assert_eq!(exact(&memories, "\"red fox\"", all()).await, [texts[0]]);
    assert_eq!(exact(&memories, "RED", all()).await.len(), 3);
    assert_eq!(exact(&memories, "hou*", all()).await, [texts[2]]);
    // Accents do not count.
    assert_eq!(exact(&memories, "fuchse", all()).await, [texts[4]]);
    for nothing in ["unheard", "red -fox NOT", "!!!", "\"", "NEAR(", "content:red", "a* OR b\0"] {
        assert!(exact(&memories, nothing, all()).await.is_empty(), "{nothing}");
    }
    let found = memories.search(&Search::new("fox").mode(SearchMode::Exact)).await.expect("a search");
    assert!((found.hits[0].score - 1.0).abs() < 1e-9 && found.hits[1].score <= 1.0);
    assert_eq!(found.note, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_are_for_tags_type_and_time() {
    let place = place();
    let memories = words(&place);
    let now: Zoned = "2025-03-12T12:00:00Z[UTC]".parse().expect("a moment");
    let at = |text: &str, tags: &[&str], kind: &str, day: &str| NewMemory {
        created_at: Some(format!("{day}T10:00:00Z").parse().expect("a moment")),
        ..memory(text, tags).of_type(kind)
    };
    memories
        .store(vec![
            at("tea one", &["a"], "note", "2025-03-04"),
            at("tea two", &["a", "b"], "fact", "2025-03-09"),
            at("tea three", &["b", "c"], "note", "2025-03-11"),
            at("coffee", &["a", "b"], "note", "2025-03-11"),
        ])
        .await
        .expect("stored");
    let tags = |tags: &[&str], tag_match| Filter { tag_match, ..Filter::tagged(tags.to_vec()) };
    assert_eq!(exact(&memories, "tea", tags(&["a", "c"], TagMatch::Any)).await.len(), 3);
    assert_eq!(exact(&memories, "tea", tags(&["a", "b"], TagMatch::All)).await, ["tea two"]);
    assert!(exact(&memories, "tea", tags(&["d"], TagMatch::Any)).await.is_empty());
    let of_type = Filter { memory_type: Some("note".to_owned()), ..Filter::default() };
    assert_eq!(exact(&memories, "tea", of_type.clone()).await, ["tea one", "tea three"]);
    let time = |text: &str| Filter { time: time_range(text, &now).expect("a time"), ..Filter::default() };
    assert_eq!(exact(&memories, "tea", time("last week")).await, ["tea one", "tea two"]);
    assert_eq!(exact(&memories, "tea", time("yesterday")).await, ["tea three"]);
    assert_eq!(exact(&memories, "tea", time("since 2025-03-09")).await, ["tea three", "tea two"]);
    let both = Filter { time: time("last week").time, ..of_type };
    assert_eq!(exact(&memories, "tea", both.clone()).await, ["tea one"]);
    // Without a query the filter alone says what is meant, the newest first.
    let found =
        memories.search(&Search::new(" ").filter(tags(&["b"], TagMatch::Any)).limit(2)).await.expect("a search");
    assert_eq!((contents(&found), found.note.is_some()), (vec!["coffee", "tea three"], true));
    assert_eq!(
        memories.list(&dbmux_memory::List { filter: both, ..Default::default() }).await.expect("a page").memories.len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_embedder_meaning_is_looked_for_by_words_and_says_so() {
    let place = place();
    let memories = words(&place);
    memories.store(vec![memory("the host is heron", &[]), memory("tea", &[])]).await.expect("stored");
    for mode in [SearchMode::Semantic, SearchMode::Hybrid] {
        let found = memories.search(&Search::new("which host do we use").mode(mode)).await.expect("a search");
        assert_eq!((contents(&found), found.mode_used), (vec!["the host is heron"], SearchMode::Exact));
        assert!(found.note.expect("a note").contains("no embedder"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn meaning_is_found_and_both_are_made_one_order() {
    let place = place();
    let embedder = Arc::new(Letters::default());
    let memories = with(&place, embedder.clone());
    let texts = ["listen", "silent inlets", "the word tinsel", "enlist zebra zebra zebra", "zzz"];
    let stored = memories.store(texts.iter().map(|text| memory(text, &[])).collect()).await.expect("stored");
    assert!(stored.iter().all(|stored| stored.embedded && stored.note.is_none()));
    let semantic = memories.search(&Search::new("tinsel").mode(SearchMode::Semantic)).await.expect("a search");
    // Of the same letters, first; of none of them, last.
    assert_eq!((semantic.mode_used, semantic.hits.len()), (SearchMode::Semantic, 5));
    assert_eq!(contents(&semantic)[0], "listen");
    assert!((semantic.hits[0].score - 1.0).abs() < 1e-5, "{}", semantic.hits[0].score);
    assert_eq!(contents(&semantic)[4], "zzz");
    assert!(semantic.hits.is_sorted_by(|one, other| one.score >= other.score));
    // The word itself, which is not the nearest in meaning, comes first by both.
    let both = memories.search(&Search::new("tinsel")).await.expect("a search");
    assert_eq!((both.mode_used, contents(&both)[0]), (SearchMode::Hybrid, "the word tinsel"));
    assert_eq!(contents(&both)[1], "listen");
    assert!(both.hits.iter().all(|hit| hit.score > 0.0 && hit.score <= 1.0));
    let best = Search { min_score: 0.9, ..Search::new("tinsel").mode(SearchMode::Semantic) };
    assert!(memories.search(&best).await.expect("a search").hits.iter().all(|hit| hit.score >= 0.9));
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_hold_for_meaning_too() {
    let place = place();
    let memories = with(&place, Arc::new(Letters::default()));
    let new = |text: &str, tag: &str| memory(text, &[tag]);
    memories.store(vec![new("listen", "a"), new("silent", "b"), new("zzz", "b")]).await.expect("stored");
    let search = Search::new("tinsel").mode(SearchMode::Semantic).filter(Filter::tagged(["b"]));
    let found = memories.search(&search).await.expect("a search");
    assert_eq!(contents(&found), ["silent", "zzz"]);
    let future = TimeRange { from: Some(Timestamp::MAX), to: None };
    let search = Search::new("tinsel").filter(Filter { time: future, ..Filter::default() });
    assert!(memories.search(&search).await.expect("a search").hits.is_empty());
}

/// Without a filter all codes are looked at a few at a time, with one each by itself: the same is found.
#[tokio::test(flavor = "multi_thread")]
async fn meaning_is_the_same_with_a_filter_that_all_pass() {
    let place = place();
    let memories = with(&place, Arc::new(Letters::default()));
    let text = |number: u64| -> String {
        let letter =
            |turn| char::from(b'a' + u8::try_from((number * 7 + turn * turn * number) % 26).expect("a letter"));
        (0..number % 9 + 1).map(letter).chain(format!(" {number}").chars()).collect()
    };
    let all: Vec<_> = (0..200).map(|number| memory(&text(number), &["all"])).collect();
    let stored = memories.store(all).await.expect("stored");
    for (turn, stored) in stored.iter().enumerate().step_by(7) {
        let update = Update { content: Some(text(turn as u64 + 1000)), ..Update::default() };
        memories.update(&stored.content_hash, &update).await.expect("changed");
    }
    let gone = stored.iter().skip(3).step_by(5).map(|stored| stored.content_hash.clone()).collect();
    memories.delete(&Delete::of(Filter { hashes: gone, ..Filter::default() })).await.expect("deleted");
    for query in ["listen", "abc", "zebra", "q"] {
        let search = Search::new(query).mode(SearchMode::Semantic).limit(300);
        let found = memories.search(&search).await.expect("a search");
        assert_eq!(
            found.hits.len(),
            usize::try_from(number(&place, "select count(*) from memories")).expect("a number")
        );
        let filtered = memories.search(&search.filter(Filter::tagged(["all"]))).await.expect("a search");
        assert_eq!(contents(&found), contents(&filtered), "{query}");
    }
    is_sound(&place);
}

/// Among more than are compared by their vectors, too.
#[tokio::test(flavor = "multi_thread")]
async fn the_nearest_of_many_are_the_same_with_a_filter_that_all_pass() {
    let place = place();
    let memories = with(&place, Arc::new(Chance));
    let all = (0..1500).map(|number| memory(&format!("number {number}"), &["all"])).collect();
    memories.store(all).await.expect("stored");
    for query in ["number 3", "number 700", "number 1499", "something else"] {
        let search = Search::new(query).mode(SearchMode::Semantic).limit(5);
        let found = memories.search(&search).await.expect("a search");
        if query.starts_with("number") {
            assert_eq!(contents(&found)[0], query, "its own vector");
        }
        let filtered = memories.search(&search.filter(Filter::tagged(["all"]))).await.expect("a search");
        assert_eq!((contents(&found).len(), contents(&found)), (5, contents(&filtered)), "{query}");
    }
    is_sound(&place);
}

/// What was kept is only given as long as it is true, whoever changes the memories.
#[tokio::test(flavor = "multi_thread")]
async fn a_kept_answer_is_never_stale() {
    let place = place();
    let embedder = Arc::new(Letters::default());
    let (memories, other) = (with(&place, embedder.clone()), words(&place));
    let search = Search::new("tea");
    assert!(memories.search(&search).await.expect("a search").hits.is_empty());
    let hash = other.store(vec![memory("green tea", &["a"])]).await.expect("stored").remove(0).content_hash;
    let found = memories.search(&search).await.expect("a search");
    assert_eq!(contents(&found), ["green tea"]);
    assert_eq!(memories.search(&search).await.expect("a search"), found);
    other.store(vec![memory("green tea", &["b"])]).await.expect("stored");
    assert_eq!(memories.search(&search).await.expect("a search").hits[0].memory.tags, ["a", "b"]);
    let update = dbmux_memory::Update { content: Some("black tea".to_owned()), ..Default::default() };
    other.update(&hash, &update).await.expect("changed");
    assert_eq!(contents(&memories.search(&search).await.expect("a search")), ["black tea"]);
    place.sql("memory.db", "delete from memories");
    assert!(memories.search(&search).await.expect("a search").hits.is_empty());
    assert_eq!(embedder.asked.load(std::sync::atomic::Ordering::Relaxed), 1, "the query's vector was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused() {
    let place = place();
    let memories = words(&place);
    for search in [
        Search::new("x").limit(0),
        Search::new("x").limit(1001),
        Search { min_score: f64::NAN, ..Search::new("x") },
        Search { min_score: 1.1, ..Search::new("x") },
    ] {
        assert!(matches!(memories.search(&search).await, Err(MemoryError::InvalidArgument(_))), "{search:?}");
    }
}
