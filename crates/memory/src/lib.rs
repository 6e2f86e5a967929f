//! Memories of agents in one SQLite database, for any number of processes at once.
//!
//! A memory is a text with tags, a type, and metadata. The same text twice is one memory, its tags merged. It is found by
//! its words (FTS5), by its meaning (`sqlite-vec`, where there is an [`embed::Embedder`]), or by both.
//!
//! ```no_run
//! # async fn example() -> Result<(), dbmux_memory::MemoryError> {
//! use dbmux_memory::{Memories, MemoryOptions, NewMemory, Search};
//!
//! let memories = Memories::open("memory.db", MemoryOptions::default())?;
//! memories.store(vec![NewMemory::new("the staging host is called heron").tag("hosts")]).await?;
//! for hit in memories.search(&Search::new("staging host")).await?.hits {
//!     println!("{:.2} {}", hit.score, hit.memory.content);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! - Storing is one statement, which the broker commits together with those of other processes. A memory that was
//!   acknowledged is in the file, once, and synced.
//! - The words and the vectors are always those of the memories: triggers in the database see to it, whoever writes.
//! - Every call ends: at [`Memories::within`], else at the client's own wait. What failed because somebody else was in the
//!   way is tried again within that time; what may have happened is only repeated where that changes nothing.
//! - Nothing is embedded while anything is locked.

mod ask;
mod cache;
mod delete;
pub mod embed;
mod error;
mod exchange;
mod filter;
mod fuse;
mod hash;
mod line;
mod list;
mod memory;
mod options;
mod reembed;
mod retry;
mod rows;
mod schema;
mod search;
mod stats;
mod store;
mod update;
mod when;
mod words;

pub use dbmux_client::{ClientError, ClientOptions, ErrorCode, Holder};
pub use delete::{Delete, Deleted};
pub use error::MemoryError;
pub use exchange::Imported;
pub use filter::{Filter, TagMatch};
pub use hash::content_hash;
pub use jiff::{Timestamp, Zoned};
pub use list::{List, Page};
pub use memory::{Embedding, Memory, Metadata, NewMemory, Stored};
pub use options::{MemoryOptions, Retry};
pub use reembed::Reembedded;
pub use search::{Found, Hit, Search, SearchMode};
pub use stats::{Health, Stats};
pub use store::Memories;
pub use update::{TagChange, Update};
pub use when::{TimeRange, time_in, time_range};
