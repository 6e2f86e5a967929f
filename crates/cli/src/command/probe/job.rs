//! What the probe asks of its processes, and what they answer: one JSON object a line.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;

/// Rows whose id is at least this many times a writer's number (from 1) are that writer's.
const SPACE: i64 = 1 << 40;

/// Chunks of one file, in the seed.
pub(super) const CHUNKS_OF_A_FILE: i64 = 10;

/// Where the embeddings and the order of what is done come from.
pub(super) const SEED: u64 = 0x6462_6d75_7821;

/// How a process gets to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// By the engine's own library, without dbmux.
    Direct,
    /// As a client.
    Dbmux,
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Dbmux => "dbmux",
        }
    }
}

/// Files of a seed of so many rows.
pub(super) fn files(rows: u32) -> i64 {
    (i64::from(rows) + CHUNKS_OF_A_FILE - 1) / CHUNKS_OF_A_FILE
}

/// What a process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    /// Makes the tables and the rows that are there when it begins.
    Seeder,
    Reader,
    Writer,
    /// Reads all there is when it is over.
    Verifier,
    /// Waits until the probe has gone, and removes what it left when it was killed.
    Sweeper,
}

/// What a process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) role: Role,
    pub(super) mode: Mode,
    /// As `--engine` names it.
    pub(super) engine: String,
    pub(super) database: PathBuf,
    /// Before the tables' names.
    pub(super) prefix: String,
    /// From 0, among those of its role.
    pub(super) number: u16,
    /// Rows of the seed: their ids are 0, 1, …
    pub(super) rows: u32,
    pub(super) dims: u16,
    pub(super) time: Duration,
}

impl Job {
    /// The first id that this writer gives to rows that it inserts: newer than the seed's, and nobody else's.
    pub(super) fn first_id(&self) -> i64 {
        (i64::from(self.number) + 1) * SPACE
    }

    /// Files of the seed.
    pub(super) fn files(&self) -> i64 {
        files(self.rows)
    }
}

/// A line of a process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Said {
    /// It has tried to connect, and waits for the start.
    Ready { refused: Option<String> },
    /// A reader or a writer is done. It keeps its connection until its standard input is closed.
    Done(Box<Report>),
    /// The seed is there.
    Seeded,
    /// What the verifier saw.
    Found(Found),
    /// It cannot go on, and why.
    Failed(String),
}

/// What became of one kind of a worker's calls.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Of those that succeeded, how long they took.
    pub(super) took: Histogram,
    /// The others, by error.
    pub(super) errors: BTreeMap<String, u64>,
}

/// What a reader or a writer did. Times are microseconds of the clock that all processes share.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Report {
    /// It had a connection in the end.
    pub(super) connected: bool,
    pub(super) calls: Tally,
    pub(super) fresh: Vec<Fresh>,
    /// New chunks that were acknowledged.
    pub(super) inserted: Vec<Inserted>,
    /// New files that were acknowledged.
    pub(super) files: Vec<i64>,
    /// Of each row that it embedded anew, the last time that was acknowledged.
    pub(super) embedded: Vec<Embedded>,
    /// What may have happened, and may not have.
    pub(super) doubtful: Doubtful,
    /// From the start to the end.
    pub(super) total_us: u64,
    /// Of this, in calls to the engine or to dbmux.
    pub(super) called_us: u64,
    /// Of this, asleep before another attempt to connect.
    pub(super) paused_us: u64,
}

/// Rows newer than the seed were counted.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Fresh {
    pub(super) began: u64,
    pub(super) ended: u64,
    pub(super) rows: u64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Inserted {
    pub(super) id: i64,
    pub(super) began: u64,
    pub(super) ended: u64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Embedded {
    pub(super) id: i64,
    pub(super) version: i64,
    pub(super) began: u64,
    pub(super) ended: u64,
}

/// What may have happened, and may not have: the outcome is unknown.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Doubtful {
    pub(super) chunks: Vec<i64>,
    pub(super) files: Vec<i64>,
    /// Row and version.
    pub(super) embedded: Vec<(i64, i64)>,
}

/// What is in the tables.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) files: Vec<i64>,
    pub(super) chunks: Vec<Chunk>,
}

/// A row of `chunks`. Its embedding is known by who made it and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chunk {
    pub(super) id: i64,
    /// Who embedded it last; -1: it is as it was when it was inserted.
    pub(super) writer: i64,
    pub(super) version: i64,
    /// Its embedding is the one that this writer made for this version.
    pub(super) whole: bool,
}
