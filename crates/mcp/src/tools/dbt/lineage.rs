//! `get_lineage`.

use std::sync::Arc;

use dbmux_dbt::manifest::{Direction, Manifest, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{arguments::project, node::Node};
use crate::{
    call::Call,
    dbt::Locked,
    failure::Failure,
    reply::Reply,
    server::Shared,
    tools::arguments::{given, wait},
};

/// Which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Way {
    /// What it is made from.
    Up,
    /// What is made from it.
    Down,
    #[default]
    Both,
}

/// Of what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    /// Its unique_id, its name, source.table, its relation or its file.
    #[serde(alias = "name")]
    resource: String,
    /// up: what it is made from; down: what is made from it; both where it is left out.
    #[serde(default, deserialize_with = "given")]
    direction: Way,
    /// So many steps far; everything where it is left out.
    depth: Option<usize>,
    /// Seconds to wait for others who run dbt, where it has to parse the project. 0 never waits.
    wait: Option<f64>,
}

/// Its relatives.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Lineage {
    resource: Node,
    /// What it is made from, the nearest first.
    upstream: Vec<Node>,
    /// What is made from it, the nearest first.
    downstream: Vec<Node>,
    /// Set where dbt had to parse the project.
    lock: Option<Locked>,
}

pub(super) async fn run(shared: Arc<Shared>, of: Of, call: Call) -> Result<Reply<Lineage>, Failure> {
    let (manifest, lock) = project(&shared)?.manifest(&call, wait(of.wait)?).await?;
    let found = manifest.find(&of.resource)?;
    let upstream = related(&manifest, found, of.direction != Way::Down, Direction::Up, of.depth);
    let downstream = related(&manifest, found, of.direction != Way::Up, Direction::Down, of.depth);
    let resource = Node::of(found);
    let mut text = String::new();
    for node in upstream.iter().rev() {
        text.push_str(&format!("-{} {}", node.steps(), node.line()));
    }
    text.push_str(&format!(" 0 {}", resource.line()));
    for node in &downstream {
        text.push_str(&format!("+{} {}", node.steps(), node.line()));
    }
    Ok(Reply::new(text, Lineage { resource, upstream, downstream, lock }))
}

fn related(
    manifest: &Manifest,
    resource: &Resource,
    wanted: bool,
    direction: Direction,
    depth: Option<usize>,
) -> Vec<Node> {
    let most = if wanted { depth } else { Some(0) };
    manifest.related(resource, direction, most).iter().map(Node::related).collect()
}
