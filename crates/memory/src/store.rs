//! The way to a store of memories, and storing.

mod incoming;

use std::{collections::HashSet, path::Path, sync::Arc, time::Duration};

use dbmux_client::{Client, ClientOptions};

use self::incoming::{INSERT, Incoming};
use crate::{
    Found, Memory, MemoryError, MemoryOptions, NewMemory, Retry, Stored,
    ask::{Ask, Call},
    cache::Recent,
    embed::Embedder,
    filter,
    line::{Deadline, Line},
    retry, rows,
    schema::Schema,
};

/// A way to a store of memories. Cheap to clone; all clones share one connection, one line, and what is kept.
///
/// It opens nothing before the first call. Where there is no database then, it is made.
#[derive(Clone)]
pub struct Memories {
    pub(crate) shared: Arc<Shared>,
    wait: Duration,
}

impl std::fmt::Debug for Memories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memories").field("database", &self.database()).field("wait", &self.wait).finish_non_exhaustive()
    }
}

/// What all clones share.
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) embedder: Option<Arc<dyn Embedder>>,
    pub(crate) retry: Retry,
    pub(crate) line: Line,
    pub(crate) schema: Schema,
    pub(crate) queries: Recent<Arc<[f32]>>,
    pub(crate) answers: Recent<(i64, Found)>,
    /// How other programs' databases are reached: nothing is written there, nor made.
    pub(crate) elsewhere: ClientOptions,
}

impl Memories {
    /// Opens a way to a store. Starts nothing, makes nothing and opens nothing before the first call.
    ///
    /// # Errors
    /// When the path cannot be that of a database: its directory does not exist, for example.
    pub fn open(path: impl AsRef<Path>, options: MemoryOptions) -> Result<Self, MemoryError> {
        let wait = options.client.wait;
        let read_only = options.client.read_only;
        let options_of_client = ClientOptions { engine: Some("sqlite".to_owned()), ..options.client };
        let elsewhere = ClientOptions { read_only: true, create: false, ..options_of_client.clone() };
        let shared = Shared {
            client: Client::open(path, options_of_client)?,
            elsewhere,
            embedder: options.embedder,
            retry: options.retry,
            line: Line::new(options.queue, options.sessions),
            schema: Schema::new(read_only),
            queries: Recent::new(options.kept_queries),
            answers: Recent::new(options.kept_answers),
        };
        Ok(Self { shared: Arc::new(shared), wait })
    }

    /// The same store, where a call takes at most this long: waiting for others, for the file, for the embedder, and
    /// trying again. Zero never waits for others. The time that a statement itself takes is not limited.
    #[must_use]
    pub fn within(&self, wait: Duration) -> Self {
        Self { shared: Arc::clone(&self.shared), wait }
    }

    /// The database file, canonical.
    pub fn database(&self) -> &Path {
        self.shared.client.database()
    }

    /// The way to the database itself: its broker's state and statistics.
    pub fn client(&self) -> &Client {
        &self.shared.client
    }

    /// The name of the model that makes the vectors; `None`: memories are found by their words alone.
    pub fn model(&self) -> Option<&str> {
        self.shared.embedder.as_ref().map(|embedder| embedder.model())
    }

    /// How many calls are under way in this process.
    pub fn depth(&self) -> usize {
        self.shared.line.depth()
    }

    pub(crate) fn wait(&self) -> Duration {
        self.wait
    }

    pub(crate) fn call(&self) -> Result<Call<'_>, MemoryError> {
        Call::begin(&self.shared, Deadline::after(self.wait))
    }

    /// Stores memories, in their order. One whose text is there already is merged into it: its tags are added.
    ///
    /// Each of them, or each few hundred of them where there are many, is stored with all of its tags or not at all, and
    /// synced. Where the embedder fails, they are stored without vectors, and say so; [`Memories::reembed`] makes them later.
    ///
    /// # Errors
    /// [`MemoryError::InvalidArgument`] before anything is stored. [`MemoryError::QueueFull`]. Of a list too long for one
    /// statement, the first ones may be stored when a later one fails; storing them again changes nothing.
    pub async fn store(&self, memories: Vec<NewMemory>) -> Result<Vec<Stored>, MemoryError> {
        let call = self.call()?;
        let incoming = incoming::prepare(&call, memories).await?;
        // Below the sign: SQLite's integers have one.
        let origin = i64::try_from(retry::random() >> 1).unwrap_or_default();
        let mut new = HashSet::new();
        for chunk in incoming::chunks(&incoming) {
            new.extend(store_together(&call, chunk, origin).await?);
        }
        Ok(told(incoming, new))
    }

    /// The memory with this hash.
    ///
    /// # Errors
    /// [`MemoryError::NotFound`].
    pub async fn get(&self, hash: &str) -> Result<Memory, MemoryError> {
        let hash = hash.trim().to_ascii_lowercase();
        let sql = format!("SELECT {} FROM memories AS m WHERE m.hash = ?", rows::MEMORY);
        let found = self.call()?.run(&Ask::read(sql).bind(hash.as_str())).await?;
        let row = found.first().ok_or(MemoryError::NotFound { hash })?;
        rows::memory(row).map(|(_, memory)| memory)
    }
}

/// Stores them in one statement. Answers with the hashes of those that were not there before.
async fn store_together(call: &Call<'_>, memories: &[Incoming], origin: i64) -> Result<Vec<String>, MemoryError> {
    let insert = match memories {
        [one] => one.insert(origin),
        many => Ask::write(INSERT, true).rows(incoming::batch(many, origin)?),
    };
    let made = call.run(&insert).await?.first().map(|count| count.integer(0)).transpose()?.unwrap_or_default();
    let hashes: Vec<_> = memories.iter().map(|memory| memory.hash.as_str()).collect();
    match usize::try_from(made) {
        Ok(0) => Ok(Vec::new()),
        Ok(made) if made == memories.len() => Ok(hashes.into_iter().map(str::to_owned).collect()),
        // Some of them: which ones?
        _ => {
            let sql = "SELECT hash FROM memories WHERE hash IN (SELECT value FROM json_each(?)) AND origin = ?";
            call.run(&Ask::read(sql).bind(filter::json(&hashes)).bind(origin)).await?.texts()
        }
    }
}

/// `new`: the hashes of those that are; each of them once.
fn told(incoming: Vec<Incoming>, mut new: HashSet<String>) -> Vec<Stored> {
    let told = incoming.into_iter().map(|memory| Stored {
        new: new.remove(&memory.hash),
        embedded: memory.embedding.is_some(),
        note: memory.note,
        content_hash: memory.hash,
    });
    told.collect()
}
