//! A place with a store, and an embedder that needs no model.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dbmux_memory::{
    ClientOptions, Memories, MemoryOptions, NewMemory,
    embed::{EmbedError, Embedder},
};
use dbmux_testkit::Place;

/// The workspace's build puts the binary beside its tests' directory.
fn binary() -> PathBuf {
    if let Some(given) = std::env::var_os("DBMUX_TEST_DBMUX") {
        return given.into();
    }
    let test = std::env::current_exe().expect("this test");
    let profile = test.parent().and_then(std::path::Path::parent).expect("a target directory");
    let binary = profile.join("dbmux");
    assert!(binary.is_file(), "{} is missing: build the workspace first", binary.display());
    binary
}

pub(crate) fn place() -> Place {
    Place::new(binary().to_str().expect("a path that is text"))
}

/// Options whose broker is the place's.
pub(crate) fn options(place: &Place) -> MemoryOptions {
    let client = ClientOptions {
        broker_program: Some(place.binary().to_owned()),
        runtime_directory: Some(place.path("run")),
        wait: Duration::from_secs(60),
        ..ClientOptions::default()
    };
    MemoryOptions { client, ..MemoryOptions::default() }
}

pub(crate) fn open(place: &Place, options: MemoryOptions) -> Memories {
    Memories::open(place.path("memory.db"), options).expect("a store")
}

/// A store that finds words.
pub(crate) fn words(place: &Place) -> Memories {
    open(place, options(place))
}

/// A store that finds meaning, too.
pub(crate) fn with(place: &Place, embedder: Arc<dyn Embedder>) -> Memories {
    open(place, MemoryOptions { embedder: Some(embedder), ..options(place) })
}

pub(crate) fn memory(content: &str, tags: &[&str]) -> NewMemory {
    tags.iter().fold(NewMemory::new(content), |memory, tag| memory.tag(*tag))
}

/// Each text's letters are its meaning: texts of the same letters are near to each other.
#[derive(Debug, Default)]
pub(crate) struct Letters {
    pub(crate) asked: AtomicUsize,
    /// Fails as long as this is above 0.
    pub(crate) failures: AtomicUsize,
    /// Fails for good.
    pub(crate) broken: bool,
}

impl Embedder for Letters {
    fn model(&self) -> &'static str {
        "letters"
    }

    fn embed(&self, texts: Vec<String>) -> futures::future::BoxFuture<'_, Result<Vec<Vec<f32>>, EmbedError>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.broken {
                return Err(EmbedError::Model("it is broken".to_owned()));
            }
            let failed = self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            if failed.is_ok() {
                return Err(EmbedError::Unreachable { url: "letters".to_owned(), message: "not now".to_owned() });
            }
            Ok(texts.iter().map(|text| letters(text)).collect())
        })
    }
}

/// Each text has a vector by chance, always the same one.
#[derive(Debug)]
pub(crate) struct Chance;

impl Embedder for Chance {
    fn model(&self) -> &'static str {
        "chance"
    }

    fn embed(&self, texts: Vec<String>) -> futures::future::BoxFuture<'_, Result<Vec<Vec<f32>>, EmbedError>> {
        let number = |text: &str, index: u16| {
            let mut hasher = std::hash::DefaultHasher::new();
            std::hash::Hash::hash(&(text, index), &mut hasher);
            f32::from(std::hash::Hasher::finish(&hasher) as i16)
        };
        let vectors = texts.iter().map(|text| (0..384).map(|index| number(text, index)).collect()).collect();
        Box::pin(async move { Ok(vectors) })
    }
}

fn letters(text: &str) -> Vec<f32> {
    // 26 are no whole number of bytes: the store has to make one of it.
    let mut vector = vec![-0.01; 26];
    for byte in text.to_ascii_lowercase().bytes().filter(u8::is_ascii_lowercase) {
        vector[usize::from(byte - b'a')] += 1.0;
    }
    vector
}

/// Runs SQL by a client of SQLite, which makes the database where there is none.
pub(crate) async fn raw(place: &Place, database: &str, sql: &str) {
    let client = ClientOptions { engine: Some("sqlite".to_owned()), ..options(place).client };
    let client = dbmux_client::Client::open(place.path(database), client).expect("a client");
    client.session().await.expect("a session").execute(sql).await.expect("it runs");
}

/// A number that SQL answers with, asked by another client.
pub(crate) fn number(place: &Place, sql: &str) -> i64 {
    place.sql("memory.db", sql).trim().parse().unwrap_or_else(|_| panic!("{sql} gives no number"))
}

/// The index of words is that of the memories, and nothing of what is gone is left.
pub(crate) fn is_sound(place: &Place) {
    let count = number(place, "select count(*) from memories");
    assert_eq!(number(place, "select count(*) from memory_words_docsize"), count);
    assert_eq!(number(place, "select count(*) from memory_incoming"), 0);
    assert_eq!(number(place, "select count(*) from memory_changes"), 0);
    for table in ["memory_tags", "memory_vectors", "memory_codes"] {
        let left = format!("select count(*) from {table} where memory not in (select id from memories)");
        assert_eq!(number(place, &left), 0, "{table}");
    }
    assert_eq!(
        number(
            place,
            "select count(*) from memory_vectors full join memory_codes using (memory, model) \
                       where vector is null or code is not vec_quantize_binary(vector)"
        ),
        0
    );
    // The blocks have the codes, and no others.
    let blocks = "select model, nearest_codes(codes, block << 4, x'0f35a1c2', 1000000) as found \
                  from memory_code_blocks group by model";
    let codes = "select model, json_group_array(memory) as found from \
                 (select model, memory from memory_codes order by bits_apart(code, x'0f35a1c2'), memory) group by model";
    for (one, other) in [(blocks, codes), (codes, blocks)] {
        assert_eq!(number(place, &format!("select count(*) from (select * from ({one}) except {other})")), 0, "{one}");
    }
    assert_eq!(number(place, "select count(*) from memory_code_blocks where length(codes) = 0"), 0);
    // It looks the whole index through, and fails where it is not that of the contents.
    place.sql("memory.db", "insert into memory_words (memory_words, rank) values ('integrity-check', 1)");
    assert_eq!(place.sql("memory.db", "pragma integrity_check"), "ok");
}
