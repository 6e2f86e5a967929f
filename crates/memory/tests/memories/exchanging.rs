//! Out of one store, and into another.

use std::sync::Arc;

use dbmux_memory::{Filter, List, Memories, MemoryError};

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

/// Makes a database with the real program: its path.
fn made_by(program: &str, place: &dbmux_testkit::Place) -> std::path::PathBuf {
    let path = place.path(program);
    let script = dbmux_testkit::checkout().join("testkit/memories/programs.py");
    let mut maker = std::process::Command::new(dbmux_testkit::memories_python());
    let output = maker.arg(script).arg(program).arg(&path).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memories_of_mcp_memory_service_are_imported() {
    let place = place();
    let theirs = made_by("service", &place);
    let memories = with(&place, Arc::new(Letters::default()));
    let imported = memories.import_from(&theirs).await.expect("imported");
    assert_eq!((imported.read, imported.new, imported.embedded), (601, 601, 601));
    let all = List { limit: 1000, ..List::default() };
    let found = memories.list(&all).await.expect("a page").memories;
    let heron = found.iter().find(|memory| memory.content.ends_with("heron")).expect("it");
    assert_eq!(
        (heron.tags.as_slice(), heron.memory_type.as_deref()),
        (&["hosts".to_owned(), "staging".to_owned()][..], Some("observation"))
    );
    assert_eq!((heron.created_at.as_microsecond(), &heron.metadata["who"]), (1_700_000_000_250_000, &"ann".into()));
    let entry = found.iter().find(|memory| memory.content == "entry 599 ä\n\"quoted\"").expect("it");
    assert!(entry.tags.is_empty() && entry.metadata.is_empty(), "{entry:?}");
    assert!(found.iter().all(|memory| memory.content != "gone"), "what was deleted there");
    let again = memories.import_from(&theirs).await.expect("imported");
    assert_eq!((again.read, again.new), (601, 0));
    is_sound(&place);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memories_of_chroma_are_imported() {
    let place = place();
    let theirs = made_by("chroma", &place);
    let memories = words(&place);
    let imported = memories.import_from(&theirs).await.expect("imported");
    // Vectors come along where they wait still, and their model is known.
    assert_eq!((imported.read, imported.new, imported.embedded), (3, 3, 2));
    let found = memories.list(&List::default()).await.expect("a page").memories;
    let heron = found.iter().find(|memory| memory.content.ends_with("heron")).expect("it");
    assert_eq!((heron.tags.len(), heron.memory_type.as_deref()), (2, Some("note")));
    let metadata = serde_json::to_value(&heron.metadata).expect("JSON");
    let expected =
        serde_json::json!({ "weight": 0.5, "old": true, "n": 3, "chroma_collection": "notes", "chroma_id": "a" });
    assert_eq!(metadata, expected);
    let tea = found.iter().find(|memory| memory.content.starts_with("tea")).expect("it");
    assert_eq!((tea.tags.len(), &tea.metadata["list"]), (2, &serde_json::json!([1, 2])), "{tea:?}");
    let mut lines = Vec::new();
    memories.export(&Filter::default(), true, &mut lines).await.expect("exported");
    let lines = String::from_utf8(lines).expect("text");
    assert!(lines.contains("\"all-MiniLM-L6-v2\"") && lines.contains("[1.0,0.0,"), "{lines}");
    // The other program goes on with it.
    let script = dbmux_testkit::checkout().join("testkit/memories/programs.py");
    let counts =
        std::process::Command::new(dbmux_testkit::memories_python()).arg(script).arg("count").arg(&theirs).output();
    let counts = counts.expect("Python starts");
    assert_eq!(String::from_utf8_lossy(&counts.stdout).trim(), "4", "{}", String::from_utf8_lossy(&counts.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_database_of_memories_is_named_and_left_as_it_is() {
    let place = place();
    let memories = words(&place);
    place.sql("other.sqlite", "create table memories (id integer)");
    std::fs::create_dir(place.path("empty")).expect("a folder");
    for name in ["other.sqlite", "empty", "missing.db"] {
        let error = memories.import_from(&place.path(name)).await.expect_err(name);
        assert!(matches!(&error, MemoryError::InvalidArgument(text) if text.contains(name)), "{error}");
    }
    assert!(!place.path("missing.db").exists() && place.path("empty").read_dir().expect("a folder").count() == 0);
}
