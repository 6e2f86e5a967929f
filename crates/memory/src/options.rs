//! How a store behaves.

use std::{sync::Arc, time::Duration};

use dbmux_client::ClientOptions;

use crate::embed::Embedder;

/// How often what failed for the moment is tried, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// When each try begins, counted from the end of the one before it. As many tries as there are entries; none is one.
    pub waits: Vec<Duration>,
    /// How long to wait first when another one changed the same rows; twice as long each time after that, up to 100 ms,
    /// and about half of it or all of it, by chance.
    pub conflict: Duration,
    /// How many such conflicts are borne in one call.
    pub conflicts: u32,
}

impl Default for Retry {
    fn default() -> Self {
        let waits = vec![Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2)];
        Self { waits, conflict: Duration::from_millis(1), conflicts: 100 }
    }
}

impl Retry {
    /// Tries once.
    pub fn never() -> Self {
        Self { waits: vec![Duration::ZERO], conflict: Duration::ZERO, conflicts: 0 }
    }
}

/// How a store behaves.
#[derive(Clone)]
pub struct MemoryOptions {
    /// How it reaches its database. The engine is always SQLite, whatever is said here; the wait is that of each call.
    pub client: ClientOptions,
    /// What makes vectors of texts. `None`: memories are found by their words alone.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// How often what failed for the moment is tried.
    pub retry: Retry,
    /// How many calls may be under way in this process; one more is [`crate::MemoryError::QueueFull`].
    pub queue: usize,
    /// How many of them may be at the broker at the same time; each has a session there.
    pub sessions: usize,
    /// How many answers of searches are kept in this process. They are only given while the database is unchanged.
    pub kept_answers: usize,
    /// How many vectors of queries are kept in this process.
    pub kept_queries: usize,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            client: ClientOptions::default(),
            embedder: None,
            retry: Retry::default(),
            queue: 1000,
            sessions: 32,
            kept_answers: 64,
            kept_queries: 256,
        }
    }
}

impl std::fmt::Debug for MemoryOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryOptions")
            .field("client", &self.client)
            .field("embedder", &self.embedder.as_ref().map(|embedder| embedder.model().to_owned()))
            .field("retry", &self.retry)
            .field("queue", &self.queue)
            .field("sessions", &self.sessions)
            .field("kept_answers", &self.kept_answers)
            .field("kept_queries", &self.kept_queries)
            .finish()
    }
}
