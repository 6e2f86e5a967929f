//! One invocation of dbt, on the project's runner: merged with others that wait, and leased as theirs.

use std::{collections::VecDeque, sync::Arc};

use anstream::adapter::strip_str;
use dbmux_client::Holder;
use dbmux_dbt::{
    DbtCommand, Scope, Waiting as DbtWaiting,
    runner::{
        self, Canceller, Place,
        protocol::{Ended, Node, Reply, Request, Stream},
    },
};
use dbmux_report::person;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::{sync::mpsc, task::spawn_blocking};

use super::Dbt;
use crate::{call::Call, failure::Failure};

/// Bytes of what dbt prints that are kept: the last ones.
const KEPT: usize = 4 << 20;

/// Whether there was a wait, for whom, and how long.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct Locked {
    /// Seconds that others were waited for.
    pub(crate) waited_s: f64,
    /// The last one who was.
    pub(crate) waited_for: Option<String>,
    /// Requests that went in the same invocation of dbt.
    pub(crate) together: usize,
    /// dbt was imported already.
    pub(crate) warm: bool,
}

impl Locked {
    /// A line, where there is something to say.
    pub(crate) fn text(&self) -> String {
        let waited = self.waited_for.as_ref().map(|whom| format!("waited {:.1} s for {whom}", self.waited_s));
        let together = (self.together > 1).then(|| format!("{} requests in one invocation", self.together));
        let parts: Vec<_> = waited.into_iter().chain(together).collect();
        if parts.is_empty() { String::new() } else { format!("({})\n", parts.join("; ")) }
    }
}

/// What an invocation came to.
#[derive(Debug)]
pub(crate) struct Ran {
    /// 0; 1: a node failed; 2: it could not be run.
    pub(crate) code: u8,
    pub(crate) nodes: Vec<Node>,
    /// Seconds in dbt.
    pub(crate) seconds: f64,
    pub(crate) locked: Locked,
    /// What dbt printed to standard output, without colours.
    pub(crate) output: String,
    /// The same, of both.
    pub(crate) log: String,
}

/// Cancels as Ctrl-C does, once nobody waits for it any more.
struct Cancels(Arc<Canceller>);

impl Drop for Cancels {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Dbt {
    /// Runs dbt with these arguments, in the project's directory.
    pub(crate) async fn run(
        &self,
        call: &Call,
        arguments: Vec<String>,
        wait: Option<std::time::Duration>,
    ) -> Result<Ran, Failure> {
        let project = self.project()?;
        let place = Place::of(&project.root)?;
        let text = DbtCommand::parse(arguments.clone()).text();
        let request = Request {
            args: arguments,
            directory: project.root.clone(),
            environment: self.variables(),
            interpreter: self.interpreter(&project)?,
            wait_ms: u64::try_from(wait.unwrap_or(self.wait).as_millis()).unwrap_or(u64::MAX),
            priority: None,
            scope: Scope::default(),
            sequential: false,
            command: format!("dbmux mcp for {}: {text}", call.caller().as_deref().unwrap_or("an agent")),
        };
        let (news, mut heard) = mpsc::unbounded_channel();
        let canceller = Arc::new(Canceller::default());
        let cancels = Cancels(Arc::clone(&canceller));
        let program = self.options.program.clone();
        let asking = spawn_blocking(move || {
            // Where nobody listens any more, it has been cancelled.
            let mut tell = |reply| drop(news.send(reply));
            runner::ask(&place, &program, request, &canceller, &mut tell)
        });
        let ran = call.unless_cancelled(async {
            let mut so_far = SoFar::default();
            let mut waiting = call.waiting();
            while let Some(reply) = heard.recv().await {
                if let Some(text) = so_far.hear(reply) {
                    waiting.tell(&text).await;
                }
            }
            let ended = asking.await.map_err(|error| Failure::system("dbt's runner", &error.into()))?;
            Ok(so_far.end(ended?))
        });
        let ran = ran.await;
        drop(cancels);
        ran
    }

    fn variables(&self) -> std::collections::BTreeMap<String, String> {
        let text = |(name, value): (&std::ffi::OsStr, &std::ffi::OsStr)| {
            Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()))
        };
        self.options.environment.iter().filter_map(text).collect()
    }
}

/// What was heard of an invocation.
#[derive(Default)]
struct SoFar {
    locked: Locked,
    output: Tail,
    log: Tail,
}

impl SoFar {
    /// What to tell whoever waits.
    fn hear(&mut self, reply: Reply) -> Option<String> {
        match reply {
            Reply::Waiting(waiting) => {
                let text = told(&waiting);
                self.locked.waited_for = waiting.whom.as_ref().map(|whom| person::holder(&Holder::from(whom)));
                Some(text)
            }
            Reply::Started { together, warm } => {
                (self.locked.together, self.locked.warm) = (together, warm);
                (together > 1).then(|| format!("{together} requests go in one invocation of dbt"))
            }
            Reply::Output { stream, text } => {
                let text = strip_str(&text).to_string();
                if stream == Stream::Out {
                    self.output.push(&text);
                }
                self.log.push(&text);
                text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
            }
            Reply::Note(text) => {
                self.log.push(&format!("{text}\n"));
                Some(text)
            }
            Reply::Accepted { .. } | Reply::Begins | Reply::Ended(_) | Reply::Failed(_) => None,
        }
    }

    fn end(mut self, ended: Ended) -> Ran {
        self.locked.waited_s = ended.times.waiting;
        Ran {
            code: ended.code,
            nodes: ended.nodes,
            seconds: ended.times.running,
            locked: self.locked,
            output: self.output.text(),
            log: self.log.text(),
        }
    }
}

/// The end of a text.
#[derive(Default)]
struct Tail {
    pieces: VecDeque<String>,
    length: usize,
}

impl Tail {
    fn push(&mut self, text: &str) {
        self.length += text.len();
        self.pieces.push_back(text.to_owned());
        while self.length > KEPT
            && let Some(first) = self.pieces.pop_front()
        {
            self.length -= first.len();
        }
    }

    fn text(self) -> String {
        self.pieces.into_iter().collect()
    }
}

/// For whom one waits.
pub(super) fn told(waiting: &DbtWaiting) -> String {
    let whom = waiting.whom.as_ref().map_or_else(|| "others".to_owned(), |whom| person::holder(&Holder::from(whom)));
    let ahead = if waiting.ahead > 0 { format!(", {} ahead of you", waiting.ahead) } else { String::new() };
    format!("waiting for {whom}{ahead}")
}

/// What a program printed, without colours.
pub(super) fn clean(output: &[u8]) -> String {
    strip_str(&String::from_utf8_lossy(output)).to_string()
}
