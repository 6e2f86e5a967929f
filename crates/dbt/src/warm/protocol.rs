//! What the host and the bridge (`bridge/`) say to each other: a line of JSON each.
//!
//! Both sides are of one build, for the binary carries the bridge: there are no versions to tell apart.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// What a bridge is told at its start.
#[derive(Debug, Serialize)]
pub(super) struct Settings<'a> {
    /// Seconds without a request after which it ends.
    pub(super) idle: f64,
    /// What Python finds modules in first: where the script `dbt` is.
    pub(super) script_directory: String,
    /// The adapter that will be needed, imported at once.
    pub(super) adapter: Option<&'a str>,
}

/// What a bridge is asked to do.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum What {
    /// To run dbt with these arguments.
    Invoke,
    /// To tell which nodes it would run.
    List,
    /// To tell which profile it would use.
    Profile,
}

/// A request.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a> {
    #[serde(rename = "do")]
    pub(super) what: What,
    pub(super) id: u64,
    /// What would stand behind `dbt`.
    pub(super) arguments: &'a [String],
    /// The working directory.
    pub(super) directory: &'a Path,
    /// Variables that differ from request to request; `None`: it is not there.
    pub(super) variables: BTreeMap<String, Option<String>>,
    /// How many descriptors come with it.
    pub(super) descriptors: usize,
}

/// A line from the bridge.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Reply {
    /// dbt is imported.
    Ready {
        /// dbt's version.
        ready: String,
        /// Python's.
        python: String,
        /// Where modules are imported from.
        folders: Vec<PathBuf>,
    },
    /// dbt cannot be imported.
    Failed { failed: String },
    /// It ends, and has begun nothing.
    Bye {
        #[expect(dead_code, reason = "there is one reason so far: it was idle")]
        bye: String,
    },
    /// A request has begun.
    Started {
        id: u64,
        #[expect(dead_code, reason = "what the message is known by")]
        started: bool,
    },
    /// Something was printed, other than by dbt's log.
    Output { id: u64, output: String, stream: Stream },
    /// dbt fired an event.
    Event {
        id: u64,
        #[serde(flatten)]
        event: Event,
    },
    /// A request has ended.
    Done {
        id: u64,
        #[serde(flatten)]
        done: Done,
    },
}

/// The end of a request.
#[derive(Debug, Deserialize)]
pub(super) struct Done {
    #[serde(rename = "done")]
    pub(super) answer: Answer,
    /// Files that are still open or locked over there, and should not be.
    pub(super) held: Vec<PathBuf>,
    /// How many requests it has served.
    pub(super) served: u64,
    /// Resident memory, in bytes.
    pub(super) memory: u64,
    /// How long it took, to the release of everything.
    pub(super) seconds: f64,
}

/// What a request came to.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    pub(super) exit_code: i32,
    #[serde(default)]
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) results: Vec<NodeResult>,
    #[serde(default)]
    pub(super) nodes: Vec<String>,
    #[serde(default)]
    pub(super) profile: Option<AskedProfile>,
}

/// Where something was printed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// An event of dbt's: one that it printed, or the start or end of a node.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Event {
    /// Its name, as dbt's documentation has it: `LogModelResult`.
    #[serde(rename = "event")]
    pub name: String,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// What it says, without time and colours; secrets blanked.
    pub message: String,
    /// What dbt printed for it to standard output, with its line ends; `None`: nothing.
    pub text: Option<String>,
    /// The node that it is about, by its `unique_id`.
    pub node: Option<String>,
    /// dbt's name of the thread.
    pub thread: String,
    /// With `NodeFinished`: what became of the node.
    pub result: Option<NodeResult>,
}

/// What became of a node.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct NodeResult {
    /// The node: `model.company.employees`.
    pub unique_id: String,
    /// As in `run_results.json`: `success`, `error`, `skipped`, `pass`, `fail`, `warn`, `no-op`, …
    pub status: String,
    /// In seconds.
    pub execution_time: f64,
    /// dbt's word on it: the adapter's answer, or the error.
    pub message: Option<String>,
    /// How many rows a test found wanting.
    pub failures: Option<i64>,
    /// What the adapter tells. dbt-duckdb tells it of seeds only: of a table in a DuckDB file it is how many rows it has
    /// now. Nobody knows it of a view, nor in the middle of an invocation.
    pub rows_affected: Option<i64>,
    /// Where it was skipped: the nodes above it that failed, or were skipped, as far as dbt tells. Not known in the middle
    /// of an invocation.
    #[serde(default)]
    pub skipped_for: Vec<String>,
}

/// The profile as dbt itself reads it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AskedProfile {
    pub(crate) name: String,
    pub(crate) target: String,
    pub(crate) adapter: String,
    pub(crate) threads: Option<u32>,
    pub(crate) path: Option<String>,
    pub(crate) remote: bool,
    pub(crate) attach: Vec<AskedAttachment>,
    pub(crate) directory: PathBuf,
}

/// A database that is attached beside.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AskedAttachment {
    pub(crate) path: String,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
}
