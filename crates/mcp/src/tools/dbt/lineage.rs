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
    tools::{
        arguments::{given, wait},
        page::{self, Page},
    },
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
    /// How many to tell of each list: 200 where it is left out, from 1 to 2,000.
    limit: Option<usize>,
    /// How many to leave out first: next_offset of the answer before.
    offset: Option<usize>,
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
    /// How many there are in all.
    upstream_total: usize,
    downstream_total: usize,
    /// The offset of the next ones; absent at the end.
    next_offset: Option<usize>,
    /// Set where dbt had to parse the project.
    lock: Option<Locked>,
}

pub(super) async fn run(shared: Arc<Shared>, of: Of, call: Call) -> Result<Reply<Lineage>, Failure> {
    let page = Page::of(of.limit, of.offset)?;
    let (manifest, lock) = project(&shared)?.manifest(&call, wait(of.wait)?).await?;
    let found = manifest.find(&of.resource)?;
    let upstream = page.cut(related(&manifest, found, of.direction != Way::Down, Direction::Up, of.depth));
    let downstream = page.cut(related(&manifest, found, of.direction != Way::Up, Direction::Down, of.depth));
    let resource = Node::of(found);
    let mut text = String::new();
    text.push_str(&upstream.rest());
    for node in upstream.entries.iter().rev() {
        text.push_str(&format!("-{} {}", node.steps(), node.line()));
    }
    text.push_str(&format!(" 0 {}", resource.line()));
    for node in &downstream.entries {
        text.push_str(&format!("+{} {}", node.steps(), node.line()));
    }
    text.push_str(&downstream.rest());
    let (upstream_total, downstream_total) = (upstream.total, downstream.total);
    let next_offset = page::next([upstream.next, downstream.next]);
    let (upstream, downstream) = (upstream.entries, downstream.entries);
    Ok(Reply::new(
        text,
        Lineage { resource, upstream, downstream, upstream_total, downstream_total, next_offset, lock },
    ))
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
