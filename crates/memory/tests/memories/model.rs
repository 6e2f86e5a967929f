//! The real model: all-MiniLM-L6-v2, which `model.sh` brings.

use std::{path::PathBuf, process::Command, sync::Arc, time::Duration};

use dbmux_memory::{
    Search, SearchMode,
    embed::{Embedder, Folder},
};

use crate::support::{memory, place, with};

/// Brings it where it is not there yet.
fn folder() -> PathBuf {
    let script = dbmux_testkit::checkout().join("crates/memory/tests/model.sh");
    let output = Command::new("sh").arg(&script).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).expect("text").trim())
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_are_those_of_sentence_transformers() {
    let model = Folder::named(folder(), "minilm").expect("a model");
    assert_eq!((model.model(), model.dimensions()), ("minilm", 384));
    let texts = [
        "This is an example sentence",
        "A man is eating his lunch",
        "Somebody has a meal at noon",
        "The stock market fell sharply on Monday, and interest rates went up again, which nobody had expected",
    ];
    let vectors = model.embed(texts.map(str::to_owned).to_vec()).await.expect("vectors");
    assert!(vectors.iter().all(|vector| vector.len() == 384 && (cosine(vector, vector) - 1.0).abs() < 1e-5));
    // As sentence-transformers has them, and a BERT written out in numpy.
    let expected =
        [0.067_657, 0.063_496, 0.048_713, 0.079_305, 0.037_448, 0.002_653, 0.039_375, -0.007_098, 0.059_361, 0.031_537];
    for (number, expected) in vectors[0].iter().zip(expected) {
        assert!((number - expected).abs() < 1e-4, "{:?}", &vectors[0][..10]);
    }
    let (near, far) = (cosine(&vectors[1], &vectors[2]), cosine(&vectors[1], &vectors[3]));
    assert!(near > far + 0.3, "{near} and {far}");
    // Alone, or beside longer ones: the same.
    let alone = model.embed(vec![texts[1].to_owned()]).await.expect("a vector");
    assert!(cosine(&alone[0], &vectors[1]) > 0.9999);
    assert!(model.embed(Vec::new()).await.expect("nothing").is_empty());
    // What is too long is cut.
    let long = model.embed(vec!["lunch ".repeat(5000)]).await.expect("a vector");
    assert!((cosine(&long[0], &long[0]) - 1.0).abs() < 1e-5);
}

#[tokio::test(flavor = "multi_thread")]
async fn memories_are_found_by_what_they_mean() {
    let place = place();
    // Compiled without optimisations the model takes its time.
    let memories = with(&place, Arc::new(Folder::named(folder(), "minilm").expect("a model")));
    let memories = memories.within(Duration::from_secs(900));
    let texts = [
        "The deployment failed because the disk of the build machine was full",
        "We drink green tea in the afternoon",
        "Postgres listens on port 5432 on the staging host",
    ];
    memories.store(texts.iter().map(|text| memory(text, &[])).collect()).await.expect("stored");
    for (query, expected) in [
        ("why did the release break?", texts[0]),
        ("hot beverages", texts[1]),
        ("database connection settings", texts[2]),
    ] {
        let found = memories.search(&Search::new(query).mode(SearchMode::Semantic)).await.expect("a search");
        assert_eq!((found.mode_used, found.hits[0].memory.content.as_str()), (SearchMode::Semantic, expected));
    }
}
