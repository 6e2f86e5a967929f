//! Vectors: made, missing, made later.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use dbmux_memory::{Embedding, MemoryError, NewMemory, Search, SearchMode};

use crate::support::{Letters, is_sound, memory, place, with, words};

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_embedder_keeps_no_memory_from_being_stored() {
    let place = place();
    let memories = with(&place, Arc::new(Letters { broken: true, ..Letters::default() }));
    let stored = memories.store(vec![memory("kept all the same", &[])]).await.expect("stored");
    assert!(!stored[0].embedded);
    assert!(stored[0].note.as_ref().expect("a note").contains("it is broken"));
    let found = memories.search(&Search::new("kept").mode(SearchMode::Semantic)).await.expect("a search");
    assert_eq!((found.hits.len(), found.mode_used), (1, SearchMode::Exact));
    assert!(found.note.expect("a note").contains("it is broken"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedder_that_is_away_for_a_moment_is_asked_again() {
    let place = place();
    let embedder = Arc::new(Letters { failures: AtomicUsize::new(1), ..Letters::default() });
    let memories = with(&place, embedder.clone());
    let stored = memories.store(vec![memory("x", &[])]).await.expect("stored");
    assert!(stored[0].embedded);
    assert_eq!(embedder.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_vector_is_told_and_made_later() {
    let place = place();
    let new = (0..150).map(|number| memory(&format!("memory {number}"), &[])).collect();
    words(&place).store(new).await.expect("stored");
    let memories = with(&place, Arc::new(Letters::default()));
    memories.store(vec![memory("with a vector", &[])]).await.expect("stored");
    let found = memories.search(&Search::new("memory").mode(SearchMode::Semantic)).await.expect("a search");
    assert_eq!(found.hits.len(), 1);
    assert!(found.note.expect("a note").starts_with("150 memories have no vector of letters"));
    let mut told = Vec::new();
    let done = memories.reembed(false, |done, of| told.push((done, of))).await.expect("made");
    assert_eq!((done.embedded, done.of), (150, 150));
    assert_eq!((told.first(), told.last()), (Some(&(0, 150)), Some(&(150, 150))));
    let found = memories.search(&Search::new("memory").mode(SearchMode::Semantic)).await.expect("a search");
    assert_eq!((found.hits.len(), found.note), (10, None));
    assert_eq!(memories.reembed(false, |_, _| ()).await.expect("made").embedded, 0);
    assert_eq!(memories.reembed(true, |_, _| ()).await.expect("made").embedded, 151);
    assert!(matches!(words(&place).reembed(false, |_, _| ()).await, Err(MemoryError::InvalidArgument(_))));
    is_sound(&place);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vector_that_comes_along_is_taken_if_it_is_of_the_model() {
    let place = place();
    let embedder = Arc::new(Letters::default());
    let memories = with(&place, embedder.clone());
    let with_vector = |text: &str, model: &str, vector: Vec<f32>| NewMemory {
        embedding: Some(Embedding { model: model.to_owned(), vector }),
        ..NewMemory::new(text)
    };
    let mut along = vec![0.0; 26];
    along[25] = 7.0;
    let new = vec![with_vector("abc", "letters", along), with_vector("abd", "another", vec![1.0, 2.0, 3.0])];
    memories.store(new).await.expect("stored");
    assert_eq!(embedder.asked.load(Ordering::Relaxed), 1, "one was made anew");
    let found = memories.search(&Search::new("zzz").mode(SearchMode::Semantic)).await.expect("a search");
    assert_eq!(found.hits[0].memory.content, "abc");
    // Vectors of other lengths and models are beside them, and are not compared.
    let other = words(&place);
    other
        .store(vec![with_vector("x", "another", vec![1.0, 2.0]), with_vector("y", "letters", vec![1.0])])
        .await
        .expect("stored");
    let found = memories.search(&Search::new("zzz").mode(SearchMode::Semantic)).await.expect("a search");
    assert_eq!(found.hits.len(), 2);
    let nothing = other.store(vec![with_vector("z", "another", vec![0.0])]).await;
    assert!(matches!(nothing, Err(MemoryError::InvalidArgument(_))));
    is_sound(&place);
}
