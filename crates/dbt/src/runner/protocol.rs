//! What a runner and those who ask it say to each other: one JSON object a line, over a local socket.
//!
//! Both are the same build: its version is part of the socket's name.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Write},
    path::PathBuf,
};

use dbmux_lock::Priority;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Interpreter, Scope, Waiting};

/// What a runner is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What follows `dbt`.
    pub args: Vec<String>,
    /// Where it is asked.
    pub directory: PathBuf,
    /// The environment of whoever asks; what is no text is left out.
    pub environment: BTreeMap<String, String>,
    /// The Python that has dbt.
    pub interpreter: Interpreter,
    /// How long it waits for its turn, milliseconds.
    pub wait_ms: u64,
    /// Who goes first; `None`: as its command usually does.
    #[serde(with = "priority")]
    pub priority: Option<Priority>,
    /// Whom it excludes.
    pub scope: Scope,
    /// It is merged with no other.
    pub sequential: bool,
    /// What people recognise it by.
    pub command: String,
}

/// What is said to a runner.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    Ask(Box<Request>),
    /// As Ctrl-C.
    Cancel,
}

/// What a runner answers. Exactly one of `Ended` and `Failed` is the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// It stands in line. Whoever has not heard this has not been heard.
    Accepted {
        /// The runner's process.
        pid: u32,
    },
    /// For whom it waits, whenever that changes.
    Waiting(Waiting),
    /// Nobody is waited for any more: dbt is made ready.
    Begins,
    /// It runs.
    Started {
        /// How many run in the same invocation.
        together: usize,
        /// Whether the process had dbt imported already.
        warm: bool,
    },
    /// What dbt prints.
    Output {
        /// Where.
        stream: Stream,
        /// Text as it comes, with its line ends.
        text: String,
    },
    /// What dbmux has to say about it.
    Note(String),
    /// It has run.
    Ended(Ended),
    /// It has not.
    Failed(Trouble),
}

/// Standard output, or standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "nothing to add")]
pub enum Stream {
    Out,
    Err,
}

/// How an invocation has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// As dbt's: 0, 1: a node failed, 2: it could not be run.
    pub code: u8,
    /// What became of the nodes that were asked for.
    pub nodes: Vec<Node>,
    /// Where the time went.
    pub times: Times,
}

/// What became of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// `model.shop.orders`
    pub id: String,
    /// As dbt's `run_results.json`.
    pub status: String,
    /// Seconds.
    pub seconds: f64,
    /// As dbt's `run_results.json`.
    pub message: Option<String>,
    /// Rows, where the adapter tells.
    pub rows: Option<i64>,
}

/// Where an invocation's time went, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// For others.
    pub waiting: f64,
    /// Until dbt was imported.
    pub starting: f64,
    /// In dbt.
    pub running: f64,
    /// Of that, from the begin of the first node to the end of the last.
    pub models: f64,
}

/// Why nothing has run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trouble {
    /// The time was up.
    Busy {
        /// For whom it waited.
        waiting: Waiting,
        /// For how long, milliseconds.
        waited_ms: u64,
    },
    /// Anything else.
    Other {
        /// As the codes of the user's guide.
        code: String,
        /// What is wrong.
        message: String,
        /// What to do; empty: nothing.
        suggestion: String,
    },
}

mod priority {
    use dbmux_lock::Priority;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(priority: &Option<Priority>, to: S) -> Result<S::Ok, S::Error> {
        priority.map(|priority| priority as u8).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Priority>, D::Error> {
        let code = Option::<u8>::deserialize(from)?;
        let all = [Priority::High, Priority::Normal, Priority::Low];
        Ok(code.and_then(|code| all.into_iter().find(|priority| *priority as u8 == code)))
    }
}

/// Says it in one line.
pub(crate) fn say(to: &mut impl Write, what: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    to.write_all(&line)
}

/// Hears one line; `None`: the other end has gone.
pub(crate) fn hear<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}
