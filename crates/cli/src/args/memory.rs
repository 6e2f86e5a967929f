//! The command line of `dbmux memory`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

use super::{EmbeddingArgs, duration};

pub(super) const EXAMPLES: &str = "Examples:
  dbmux memory add \"the staging host is called heron\" --tags hosts,staging
  dbmux memory search staging host
  dbmux memory search tea --time \"last week\" --mode exact
  dbmux memory list --tags hosts --limit 50
  dbmux memory delete --tags old --yes
  dbmux memory export > memories.jsonl
  dbmux memory import < memories.jsonl
  dbmux memory import ~/.local/share/mcp-memory/sqlite_vec.db

The store is what `dbmux mcp --memory` offers to agents: any number of them may use it at once. The same
text twice is one memory, whose tags are merged.";

#[derive(Debug, Args)]
pub(crate) struct MemoryArgs {
    #[command(subcommand)]
    pub(crate) command: MemoryCommand,
    /// The database of memories. Default: ~/.local/share/dbmux/memory.db.
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) memory: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) embedding: EmbeddingArgs,
    /// How long to wait for others: 500ms, 30s, 2m; 0 never waits.
    #[arg(long, global = true, env = "DBMUX_WAIT", default_value = "30s", value_parser = duration, value_name = "DURATION")]
    pub(crate) wait: Duration,
    /// Results as JSON, errors as one JSON object on standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MemoryCommand {
    /// Store a memory.
    Add {
        /// The text; - is standard input.
        content: String,
        /// Its tags, with commas.
        #[arg(long, value_delimiter = ',', value_name = "TAG,…")]
        tags: Vec<String>,
        /// What kind of memory it is.
        #[arg(long = "type", value_name = "TYPE")]
        memory_type: Option<String>,
        /// What else is known of it: a JSON object.
        #[arg(long, value_name = "JSON")]
        metadata: Option<String>,
    },
    /// Search memories by meaning and words.
    Search {
        /// In words.
        #[arg(required = true)]
        query: Vec<String>,
        /// How.
        #[arg(long, default_value = "hybrid")]
        mode: SearchModeArg,
        /// The least score, from 0 to 1.
        #[arg(long, default_value_t = 0.0, value_name = "SCORE")]
        min_score: f64,
        #[command(flatten)]
        among: Among,
        /// How many at most.
        #[arg(long, default_value_t = 10, value_name = "N")]
        limit: usize,
    },
    /// List memories, the newest first.
    List {
        #[command(flatten)]
        among: Among,
        /// How many at most.
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
        /// How many to pass over.
        #[arg(long, default_value_t = 0, value_name = "N")]
        offset: usize,
    },
    /// Change a memory.
    Update {
        /// Its hash, whole.
        hash: String,
        /// Another text. It has another hash then.
        #[arg(long, value_name = "TEXT")]
        content: Option<String>,
        /// The tags that it has from now on, with commas.
        #[arg(long, value_delimiter = ',', value_name = "TAG,…")]
        tags: Option<Vec<String>>,
        /// Another type; an empty one is none.
        #[arg(long = "type", value_name = "TYPE")]
        memory_type: Option<String>,
    },
    /// Delete memories. Only tells which, unless --yes.
    Delete {
        /// Their hashes, whole.
        hashes: Vec<String>,
        #[command(flatten)]
        among: Among,
        /// Deletes them.
        #[arg(long)]
        yes: bool,
    },
    /// Tell how many memories there are, of which tags and types.
    Stats,
    /// Write memories as JSON lines to standard output.
    Export {
        #[command(flatten)]
        among: Among,
        /// With their vectors.
        #[arg(long)]
        vectors: bool,
    },
    /// Store the memories of JSON lines, or of another program's database.
    Import {
        /// JSON lines, a database of mcp-memory-service, or a folder of ChromaDB's; without it, JSON lines of standard input.
        file: Option<PathBuf>,
    },
    /// Try whether the store keeps what several processes store, find and delete at once; leaves nothing behind.
    Verify {
        /// How many processes.
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64), value_name = "N")]
        processes: u8,
        /// One of them.
        #[arg(long, hide = true, value_name = "TAG")]
        worker: Option<String>,
    },
    /// Make the vectors that are missing.
    Reembed {
        /// Every one, anew.
        #[arg(long)]
        all: bool,
    },
}

/// Which memories.
#[derive(Debug, Args)]
pub(crate) struct Among {
    /// Only those with one of these tags.
    #[arg(long, value_delimiter = ',', value_name = "TAG,…")]
    pub(crate) tags: Vec<String>,
    /// Only those with all of the tags.
    #[arg(long, requires = "tags")]
    pub(crate) all_tags: bool,
    /// Only those of this type.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) memory_type: Option<String>,
    /// Only those stored then: "last week", "yesterday", 2025-03, "since 2025-01-01".
    #[arg(long, value_name = "TIME")]
    pub(crate) time: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SearchModeArg {
    /// By meaning; needs --embedder.
    Semantic,
    /// By words, all of which must be there.
    Exact,
    /// By both.
    Hybrid,
}
