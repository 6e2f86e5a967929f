//! Out of one store, and into another.

use std::sync::Arc;

use dbmux_memory::{Filter, Memories, MemoryError};

use crate::support::{Letters, is_sound, memory, options, place, with, words};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_can_be_imported() {
    let place = place();
    let memories = with(&place, Arc::new(Letters::default()));
    let mut new: Vec<_> = (0..700).map(|number| memory(&format!("entry\n{number}"), &["a", "b"])).collect();
    new[0].metadata.insert("deep".to_owned(), serde_json::json!({"x": [1, null]}));
    new[1].memory_type = Some("note".to_owned());
    memories.store(new).await.expect("stored");
    let mut lines = Vec::new();
    assert_eq!(memories.export(&Filter::default(), true, &mut lines).await.expect("exported"), 700);
    assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), 700);
    // No embedder is needed for vectors that come along.
    let other = Memories::open(place.path("other.db"), options(&place)).expect("a store");
    let imported = other.import(&mut lines.as_slice()).await.expect("imported");
    assert_eq!((imported.read, imported.new, imported.embedded), (700, 700, 700));
    let mut again = Vec::new();
    other.export(&Filter::default(), true, &mut again).await.expect("exported");
    assert!(lines == again, "the same, to the letter");
    let imported = other.import(&mut lines.as_slice()).await.expect("imported");
    assert_eq!((imported.read, imported.new), (700, 0));
    let mut some = Vec::new();
    let filter = Filter { memory_type: Some("note".to_owned()), ..Filter::default() };
    assert_eq!(memories.export(&filter, false, &mut some).await.expect("exported"), 1);
    assert!(!String::from_utf8(some).expect("text").contains("\"embedding\":"));
    is_sound(&place);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_no_memory_is_named() {
    let place = place();
    let lines = "{\"content\": \"good\"}\n\n{\"content\": 5}\n";
    let error = words(&place).import(&mut lines.as_bytes()).await.expect_err("the third line");
    assert!(matches!(&error, MemoryError::InvalidArgument(text) if text.starts_with("line 3: ")), "{error}");
}
