//! Whose node is whose, in a merged invocation.

use std::collections::{BTreeMap, HashSet};

use super::{Hear, Heard, Job, printed, summary};
use crate::{
    DbtCommand, DbtError,
    runner::protocol::{Ended, Node, Stream, Times},
    warm::{NodeResult, Progress, Warm},
};

/// As of dbt itself, when it refuses a command.
const REFUSED: u8 = 2;

/// From this event on, dbt tells of the invocation as a whole.
const END: [&str; 2] = ["FinishedRunningStats", "EndOfRunSummary"];

/// The members of a merged invocation.
#[derive(Debug)]
pub(super) struct Members {
    nodes: Vec<Option<HashSet<String>>>,
    ending: bool,
}

impl Members {
    /// Asks dbt which nodes each of them selects. Whoever asks for what dbt refuses is told so, and is no part of it.
    pub(super) fn ask(
        warm: &mut Warm,
        job: &Job<'_>,
        commands: &[&DbtCommand],
        hear: Hear<'_>,
    ) -> Result<Self, DbtError> {
        let mut known: BTreeMap<Vec<&str>, Vec<String>> = BTreeMap::new();
        let mut nodes = Vec::with_capacity(commands.len());
        for (member, command) in commands.iter().enumerate() {
            let selection: Vec<&str> = command.values("--select").collect();
            if let Some(same) = known.get(&selection) {
                nodes.push(Some(same.iter().cloned().collect()));
                continue;
            }
            match warm.list(job.setting, command.args(), job.directory) {
                Ok(listed) => {
                    nodes.push(Some(listed.iter().cloned().collect()));
                    known.insert(selection, listed);
                }
                Err(DbtError::Dbt { message }) => {
                    let text = format!("{message}\n");
                    hear(Heard::Output { member, stream: Stream::Out, text: &text });
                    nodes.push(None);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self { nodes, ending: false })
    }

    /// The commands of those that are part of it.
    pub(super) fn fit<'a>(&self, commands: &[&'a DbtCommand]) -> Vec<&'a DbtCommand> {
        self.fit_indices().filter_map(|member| commands.get(member).copied()).collect()
    }

    /// Those that are part of it.
    pub(super) fn fit_indices(&self) -> impl Iterator<Item = usize> {
        self.nodes.iter().enumerate().filter(|(_, nodes)| nodes.is_some()).map(|(member, _)| member)
    }

    /// Passes on what is printed: of a node, to those who asked for it; of the whole, to everybody, until it is over.
    pub(super) fn hear(&mut self, progress: &Progress<'_>, hear: Hear<'_>) {
        let mut node = None;
        if let Progress::Event(event) = progress {
            self.ending |= END.contains(&event.name.as_str());
            node = event.node.as_deref();
        }
        let Some((stream, text)) = printed(progress) else { return };
        if node.is_none() && self.ending {
            return;
        }
        for (member, nodes) in self.nodes.iter().enumerate() {
            let Some(nodes) = nodes else { continue };
            if node.is_none_or(|node| nodes.contains(node)) {
                hear(Heard::Output { member, stream, text });
            }
        }
    }

    /// Tells each of them how its own nodes did, as dbt tells at the end.
    pub(super) fn summarise(&self, results: &[NodeResult], hear: Hear<'_>) {
        for (member, nodes) in self.nodes.iter().enumerate() {
            let Some(nodes) = nodes else { continue };
            let own: Vec<&NodeResult> = results.iter().filter(|result| is_of(result, nodes)).collect();
            if !own.is_empty() {
                hear(Heard::Output { member, stream: Stream::Out, text: &summary::of(&own) });
            }
        }
    }

    /// Each one's answer. `stopped`: the code of an invocation that was stopped as a whole.
    pub(super) fn end(self, results: &[NodeResult], stopped: Option<u8>) -> Vec<Ended> {
        let ended = |nodes: Option<HashSet<String>>| {
            let Some(nodes) = nodes else { return Ended { code: REFUSED, nodes: Vec::new(), times: Times::default() } };
            let own: Vec<Node> =
                results.iter().filter(|result| is_of(result, &nodes)).cloned().map(Node::from).collect();
            let failed = own.iter().any(|node| summary::has_failed(&node.status));
            Ended { code: stopped.unwrap_or(u8::from(failed)), nodes: own, times: Times::default() }
        };
        self.nodes.into_iter().map(ended).collect()
    }
}

/// One that was asked for; or one that nobody asks for and all get, as the project's hooks.
fn is_of(result: &NodeResult, nodes: &HashSet<String>) -> bool {
    nodes.contains(&result.unique_id) || result.unique_id.starts_with("operation.")
}
