//! Indexers and searchers in processes of their own, several at once, some killed: on each engine the index is the one that
//! a single process makes.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod common;

use std::process::Child;

use common::{Index, Tree};
use dbmux_testkit::{seed, until};

/// Ends when it is dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn many_index_while_others_search(database: &str) {
    let tree = Tree::new();
    let alone = Index::new(&format!("alone-{database}"));
    assert_eq!(alone.index(&tree, &[])["written"], tree.files());
    let together = Index::new(database);
    // Two that have the work in parts, and two that have all of it.
    let options: [&[&str]; 4] = [&["--processes", "3"], &["--processes", "2"], &[], &[]];
    let mut all: Vec<Child> = options.iter().map(|options| together.start_index(&tree, options)).collect();
    until("something is found", || together.try_search(&["lock"]).is_some_and(|hits| !hits.is_empty()));
    let mut searches = 0;
    let mut sizes = Vec::new();
    while all.iter_mut().any(|indexer| indexer.try_wait().unwrap().is_none()) {
        for search in [&["who holds the file"][..], &["kernel process lock", "--by", "words", "--language", "rust"]] {
            let hits = together.search(search);
            tree.has(&hits);
            assert!(search.len() == 1 || hits.iter().all(|hit| hit["language"] == "rust"));
            searches += 1;
        }
        sizes.push(together.size());
    }
    let written: u64 = all.into_iter().map(|indexer| common::told(indexer)["written"].as_u64().unwrap()).sum();
    assert!(searches >= 4, "{searches} searches beside the indexers");
    assert!(sizes.is_sorted(), "{sizes:?}");
    assert_eq!(together.content(&tree), alone.content(&tree));
    // Whoever finds a file written counts it as unchanged. (LanceDB has no transactions: two may write the same once.)
    assert!(written == tree.files() || database.ends_with("lance") && written > tree.files(), "{written} files");
    assert_eq!(together.place.brokers().len(), 1);
    assert_eq!(together.index(&tree, &["--processes", "2"])["written"], 0);
}

fn one_is_killed_in_the_middle(database: &str) {
    let (tree, index) = (Tree::new(), Index::new(database));
    // The seed chooses when.
    let part = seed() % (tree.files() / 2);
    let killed = index.start_index(&tree, &[]);
    let other = index.start_index(&tree, &["--processes", "2"]);
    killed_at(killed, &index, part);
    common::told(other);
    let content = index.content(&tree);
    // Alone, with nobody to do its work: what it left is done by the next one.
    let again = (0..10).map(|number| Index::new(&format!("alone-{number}-{database}")));
    let alone = again.into_iter().find(|alone| {
        killed_at(alone.start_index(&tree, &[]), alone, part);
        // It may have been through before the kill came.
        alone.files() < tree.files()
    });
    let alone = alone.expect("one is killed in the middle");
    alone.index(&tree, &[]);
    assert_eq!(alone.content(&tree), content);
    assert_eq!(alone.files(), tree.files());
}

/// Kills an indexer when more than so many files are there.
fn killed_at(indexer: Child, index: &Index, files: u64) {
    let mut indexer = Ended(indexer);
    until("some files are there", || index.files() > files);
    indexer.0.kill().unwrap();
    indexer.0.wait().unwrap();
}

fn the_broker_is_killed_in_the_middle(database: &str) {
    let (tree, index) = (Tree::new(), Index::new(database));
    let part = seed() % (tree.files() / 2);
    let indexer = index.start_index(&tree, &["--processes", "2"]);
    until("some files are there", || index.files() > part);
    assert_eq!(index.place.kill_brokers(), 1);
    common::told(indexer);
    let alone = Index::new(&format!("alone-{database}"));
    alone.index(&tree, &[]);
    assert_eq!(index.content(&tree), alone.content(&tree));
}

fn only_what_changed_is_read(database: &str) {
    let (tree, index) = (Tree::new(), Index::new(database));
    let first = index.index(&tree, &["--processes", "2"]);
    assert_eq!((&first["written"], &first["removed"]), (&tree.files().into(), &0.into()));
    tree.write("docs/new.md", "# A xylophone\n\nIt sounds.\n");
    tree.write("os/src/lib.rs", "//! A bassoon.\n");
    tree.remove("os/src/holders.rs");
    tree.write(".gitignore", "ignored.txt\n");
    tree.write("ignored.txt", "a xylophone that nobody sees\n");
    tree.write("picture.txt", "\0\0\0\0 xylophone");
    let again = index.index(&tree, &[]);
    assert_eq!((&again["written"], &again["removed"]), (&2.into(), &1.into()), "{again}");
    for (by, word, end, language) in [
        ("words", "xylophone", "docs/new.md", "markdown"),
        ("meaning", "a xylophone it sounds", "docs/new.md", "markdown"),
        ("words", "bassoon", "os/src/lib.rs", "rust"),
    ] {
        let hits = index.search(&[word, "--by", by, "--limit", "1"]);
        assert!(hits[0]["path"].as_str().unwrap().ends_with(end), "{hits:?}");
        assert_eq!(hits[0]["language"], language);
    }
    assert_eq!(index.search(&["xylophone", "--by", "words"]).len(), 1);
    assert_eq!(index.search(&["xylophone", "--by", "words", "--language", "rust"]).len(), 0);
    assert_eq!(index.search(&["xylophone", "--provider", "nobody"]).len(), 0);
    let fresh = Index::new(&format!("fresh-{database}"));
    fresh.index(&tree, &[]);
    assert_eq!(index.content(&tree), fresh.content(&tree));
}

fn python_beside_rust(database: &str) {
    let (tree, index) = (Tree::new(), Index::new(database));
    let root = tree.root().to_str().unwrap();
    let mut python = Ended(index.python(&["index", root, "--processes", "2"]));
    let rust = index.start_index(&tree, &["--processes", "2"]);
    common::told(rust);
    let again = index.python(&["index", root]);
    assert!(python.0.wait().unwrap().success());
    assert_eq!(common::told(again)["written"], 0);
    let alone = Index::new(&format!("alone-{database}"));
    assert_eq!(common::told(alone.python(&["index", root]))["written"], tree.files());
    assert_eq!(index.content(&tree), alone.content(&tree));
    assert_eq!(alone.index(&tree, &[])["written"], 0);
    for search in [&["who holds the file"][..], &["kernel process lock", "--by", "words", "--language", "rust"]] {
        let hits = common::told(index.python(&[&["search"], search].concat()));
        assert_eq!(hits.as_array().unwrap().len(), 5);
        assert_eq!(hits.as_array().unwrap(), &index.search(search));
    }
    // It goes on when the broker is killed, as the other one does.
    tree.write("os/src/lib.rs", "//! A bassoon.\n");
    tree.remove("os/src/holders.rs");
    assert_eq!(index.place.kill_brokers(), 1);
    let changed = common::told(index.python(&["index", root, "--processes", "2"]));
    assert_eq!((&changed["written"], &changed["removed"]), (&1.into(), &1.into()));
    alone.index(&tree, &[]);
    assert_eq!(index.content(&tree), alone.content(&tree));
}

macro_rules! on {
    ($($engine:ident: $database:literal),* $(,)?) => {$(
        mod $engine {
            #[test]
            fn many_index_while_others_search() {
                super::many_index_while_others_search($database);
            }

            #[test]
            fn one_is_killed_in_the_middle() {
                super::one_is_killed_in_the_middle($database);
            }

            #[test]
            fn the_broker_is_killed_in_the_middle() {
                super::the_broker_is_killed_in_the_middle($database);
            }

            #[test]
            fn python_beside_rust() {
                super::python_beside_rust($database);
            }

            #[test]
            fn only_what_changed_is_read() {
                super::only_what_changed_is_read($database);
            }
        }
    )*};
}

on! { duckdb: "code.duckdb", sqlite: "code.sqlite", lance: "code.lance" }

#[test]
fn the_engines_find_the_same() {
    let tree = Tree::new();
    let found = ["code.duckdb", "code.sqlite", "code.lance"].into_iter().map(|database| {
        let index = Index::new(database);
        index.index(&tree, &["--processes", "2"]);
        (index.content(&tree), index.search(&["who holds a lock of the kernel", "--limit", "20"]))
    });
    let scores = |hits: &[serde_json::Value]| hits.iter().map(|hit| hit["score"].as_f64().unwrap()).collect::<Vec<_>>();
    let found: Vec<_> = found.collect();
    let [(content, hits), others @ ..] = &*found else { panic!("no engine") };
    let best = scores(hits);
    assert_eq!(best.len(), 20);
    for (other, hits) in others {
        assert_eq!(other, content);
        let second = scores(hits);
        assert!(best.iter().zip(&second).all(|(one, other)| (one - other).abs() < 1e-5), "{best:?} {second:?}");
        assert_eq!(second.len(), 20);
    }
}
