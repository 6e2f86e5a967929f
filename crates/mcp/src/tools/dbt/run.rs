//! `run_models`, `test_models`, `build_models`, `load_seeds`, `snapshot_models`, `compile_models`.

use std::{collections::BTreeMap, sync::Arc};

use dbmux_dbt::runner::protocol;
use dbmux_report::person;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    arguments::{Selection, plain, project},
    node::shortened,
};
use crate::{
    call::Call,
    dbt::{Locked, Ran},
    failure::Failure,
    reply::Reply,
    server::Shared,
    tools::arguments::{given, wait},
};

/// dbt's threads, at most.
const MOST_THREADS: u32 = 256;
/// Nodes that are told.
const MOST_NODES: usize = 500;
/// The rank of a node that is as it should be.
const USUAL: u8 = 3;
/// Resources whose SQL `compile_models` tells.
const MOST_COMPILED: usize = 50;

/// What to run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct What {
    /// What to select, in dbt's words: "orders+", "tag:daily", ["a", "b"]. Everything where it is left out.
    #[serde(alias = "models", alias = "selection")]
    select: Option<Selection>,
    /// What to leave out, in dbt's words.
    exclude: Option<Selection>,
    /// Builds incremental models and seeds anew: what they had is gone.
    #[serde(default, deserialize_with = "given")]
    full_refresh: bool,
    /// dbt's variables.
    #[serde(default, deserialize_with = "given")]
    vars: Map<String, Value>,
    /// How many nodes run side by side: as the profile says where it is left out.
    threads: Option<u32>,
    /// The profile's target: its usual one where it is left out.
    target: Option<String>,
    /// Seconds to wait for others who run dbt, or have the database. 0 never waits.
    wait: Option<f64>,
}

/// What became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Results {
    /// Every node that was asked for came to a good end.
    success: bool,
    /// dbt's exit code: 0, or 1 where a node failed.
    exit_code: u8,
    /// 500 of them at most: where there are more, those that failed, then those that were skipped or warn, then others.
    nodes: Vec<Node>,
    /// How many nodes have each status.
    counts: BTreeMap<String, usize>,
    /// Seconds in dbt.
    seconds: f64,
    lock: Locked,
    /// The SQL of what was selected, where it was only compiled.
    compiled: Vec<Compiled>,
    /// dbt's log, where a node failed.
    log: Option<String>,
}

/// What became of a node.
#[derive(Debug, Serialize, JsonSchema)]
struct Node {
    unique_id: String,
    /// success, error, skipped, pass, fail, warn, no-op.
    status: String,
    /// Rows of the table, where they are known.
    rows: Option<i64>,
    seconds: f64,
    message: Option<String>,
}

/// A node's SQL.
#[derive(Debug, Serialize, JsonSchema)]
struct Compiled {
    unique_id: String,
    sql: String,
}

pub(super) async fn models(shared: Arc<Shared>, what: What, call: Call) -> Result<Reply<Results>, Failure> {
    Ok(reply(run(&shared, "run", what, &call).await?, Vec::new()))
}

pub(super) async fn tests(shared: Arc<Shared>, what: What, call: Call) -> Result<Reply<Results>, Failure> {
    Ok(reply(run(&shared, "test", what, &call).await?, Vec::new()))
}

pub(super) async fn build(shared: Arc<Shared>, what: What, call: Call) -> Result<Reply<Results>, Failure> {
    Ok(reply(run(&shared, "build", what, &call).await?, Vec::new()))
}

pub(super) async fn seeds(shared: Arc<Shared>, what: What, call: Call) -> Result<Reply<Results>, Failure> {
    Ok(reply(run(&shared, "seed", what, &call).await?, Vec::new()))
}

pub(super) async fn snapshots(shared: Arc<Shared>, what: What, call: Call) -> Result<Reply<Results>, Failure> {
    Ok(reply(run(&shared, "snapshot", what, &call).await?, Vec::new()))
}

pub(super) async fn compile(shared: Arc<Shared>, what: What, call: Call) -> Result<Reply<Results>, Failure> {
    let (selects, wait) = (what.select.is_some(), wait(what.wait)?);
    let ran = run(&shared, "compile", what, &call).await?;
    if !selects {
        return Ok(reply(ran, Vec::new()));
    }
    let (manifest, _) = project(&shared)?.manifest(&call, wait).await?;
    let sql = |node: &protocol::Node| {
        let sql = manifest.resources.get(&node.id)?.compiled_code.as_deref()?;
        Some(Compiled { unique_id: node.id.clone(), sql: shortened(sql) })
    };
    let compiled = ran.nodes.iter().filter_map(sql).take(MOST_COMPILED).collect();
    Ok(reply(ran, compiled))
}

async fn run(shared: &Shared, command: &str, what: What, call: &Call) -> Result<Ran, Failure> {
    let wait = wait(what.wait)?;
    let selects = what.select.is_some();
    let ran = project(shared)?.run(call, what.arguments(command)?, wait).await?;
    match ran.code {
        0 if selects && ran.nodes.is_empty() && command != "compile" => {
            let hint = "list_resources tells what there is; a selection is in dbt's words";
            Err(Failure::usage("nothing matches the selection, or nothing of it is to be run", hint))
        }
        0 | 1 => Ok(ran),
        // It has run nothing.
        _ => Err(Failure::dbt(&ran.log)),
    }
}

impl What {
    fn arguments(self, command: &str) -> Result<Vec<String>, Failure> {
        let mut arguments = vec![command.to_owned()];
        if self.full_refresh && !matches!(command, "test" | "snapshot") {
            arguments.push("--full-refresh".to_owned());
        }
        if !self.vars.is_empty() {
            arguments.push(format!("--vars={}", Value::from(self.vars)));
        }
        if let Some(threads) = self.threads {
            if threads == 0 || threads > MOST_THREADS {
                let message = format!("\"threads\" is from 1 to {MOST_THREADS}, not {threads}");
                return Err(Failure::usage(message, ""));
            }
            arguments.push(format!("--threads={threads}"));
        }
        if let Some(target) = self.target {
            plain("target", &target)?;
            arguments.push(format!("--target={target}"));
        }
        for (name, selection) in [("select", self.select), ("exclude", self.exclude)] {
            if let Some(selection) = selection {
                arguments.push(format!("--{name}"));
                arguments.extend(selection.words(name)?);
            }
        }
        Ok(arguments)
    }
}

fn reply(ran: Ran, compiled: Vec<Compiled>) -> Reply<Results> {
    let mut counts = BTreeMap::new();
    ran.nodes.iter().for_each(|node| *counts.entry(node.status.clone()).or_insert(0) += 1);
    let failed = ran.code != 0;
    let mut nodes: Vec<_> = ran.nodes.into_iter().map(Node::from).collect();
    if nodes.len() > MOST_NODES {
        nodes.sort_by_key(Node::rank);
        nodes.truncate(MOST_NODES);
    }
    let results = Results {
        success: !failed,
        exit_code: ran.code,
        nodes,
        counts,
        seconds: ran.seconds,
        lock: ran.locked,
        compiled,
        log: failed.then(|| tail(&ran.log)),
    };
    Reply::new(results.text(), results)
}

/// The end of a log that a model wants to read.
fn tail(log: &str) -> String {
    const LINES: usize = 80;
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

impl From<protocol::Node> for Node {
    fn from(node: protocol::Node) -> Self {
        let protocol::Node { id, status, seconds, message, rows } = node;
        Self { unique_id: id, status, rows, seconds, message }
    }
}

impl Node {
    /// What must be told first has the lowest one.
    fn rank(&self) -> u8 {
        match self.status.as_str() {
            "error" | "fail" | "runtime error" | "partial success" => 0,
            "skipped" => 1,
            "warn" => 2,
            _ => USUAL,
        }
    }

    /// `  model.shop.orders: success, 12 rows`
    fn line(&self) -> String {
        let rows = self.rows.map_or(String::new(), |rows| format!(", {}", person::rows(rows.unsigned_abs())));
        let message = self.message.as_deref().filter(|_| self.rank() < USUAL);
        let message = message.map_or(String::new(), |text| format!(": {}", text.trim()));
        format!("  {}: {}{rows}{message}\n", self.unique_id, self.status)
    }
}

impl Results {
    fn text(&self) -> String {
        let counts: Vec<_> = self.counts.iter().map(|(status, count)| format!("{count} {status}")).collect();
        let counts = if counts.is_empty() { "no nodes".to_owned() } else { counts.join(", ") };
        let mut text =
            format!("{}: {counts}, in {:.2} s\n", if self.success { "done" } else { "failed" }, self.seconds);
        text.extend(self.nodes.iter().map(Node::line));
        let left_out = self.counts.values().sum::<usize>() - self.nodes.len();
        if left_out > 0 {
            text.push_str(&format!("  and {left_out} more\n"));
        }
        for Compiled { unique_id, sql } in &self.compiled {
            text.push_str(&format!("-- {unique_id}\n{sql}\n"));
        }
        text.push_str(&self.lock.text());
        text
    }
}
