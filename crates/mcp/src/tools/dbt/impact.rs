//! `analyze_impact`: what a change may break.

use std::{collections::BTreeMap, sync::Arc};

use dbmux_dbt::manifest::Direction;
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
        arguments::wait,
        page::{self, Page},
    },
};

/// Of what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    /// Its unique_id, its name, source.table, its relation or its file.
    #[serde(alias = "name")]
    resource: String,
    /// How many to tell of each list: 200 where it is left out, from 1 to 2,000.
    limit: Option<usize>,
    /// How many to leave out first: next_offset of the answer before.
    offset: Option<usize>,
    /// Seconds to wait for others who run dbt, where it has to parse the project. 0 never waits.
    wait: Option<f64>,
}

/// What is below it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Impact {
    resource: Node,
    /// How many of each type.
    counts: BTreeMap<String, usize>,
    /// What people see of it: exposures.
    exposures: Vec<Node>,
    /// What is built from it, the nearest first.
    affected: Vec<Node>,
    /// The tests that would notice.
    tests: Vec<Node>,
    /// What to select to build and test all of it.
    selection: Option<String>,
    /// The offset of the next ones of each list; absent at the end.
    next_offset: Option<usize>,
    /// Set where dbt had to parse the project.
    lock: Option<Locked>,
}

pub(super) async fn run(shared: Arc<Shared>, of: Of, call: Call) -> Result<Reply<Impact>, Failure> {
    let page = Page::of(of.limit, of.offset)?;
    let (manifest, lock) = project(&shared)?.manifest(&call, wait(of.wait)?).await?;
    let found = manifest.find(&of.resource)?;
    let mut counts = BTreeMap::new();
    let (mut exposures, mut affected, mut tests) = (Vec::new(), Vec::new(), Vec::new());
    for related in manifest.related(found, Direction::Down, None) {
        let kind = &related.resource.resource_type;
        *counts.entry(kind.clone()).or_insert(0) += 1;
        let of_kind = match kind.as_str() {
            "test" | "unit_test" => &mut tests,
            "exposure" => &mut exposures,
            _ => &mut affected,
        };
        of_kind.push(Node::related(&related));
    }
    // A source is selected by another word than a model is.
    let selection = found.is_relation().then(|| match found.resource_type.as_str() {
        "source" => format!("source:{}.{}+", found.source_name.as_deref().unwrap_or_default(), found.name),
        _ => format!("{}+", found.name),
    });
    let resource = Node::of(found);
    let sum: Vec<_> = counts.iter().map(|(kind, count)| format!("{count} of type {kind}")).collect();
    let sum = if sum.is_empty() { "nothing".to_owned() } else { sum.join(", ") };
    let mut text = format!("{}: below it is {sum}\n", resource.line().trim_end());
    let [exposures, affected, tests] = [exposures, affected, tests].map(|list| page.cut(list));
    for part in [&exposures, &affected, &tests] {
        text.extend(part.entries.iter().map(|node| format!("+{} {}", node.steps(), node.line())));
        text.push_str(&part.rest());
    }
    let next_offset = page::next([exposures.next, affected.next, tests.next]);
    if let Some(selection) = &selection {
        text.push_str(&format!("build_models with \"select\": \"{selection}\" builds and tests all of it\n"));
    }
    let [exposures, affected, tests] = [exposures, affected, tests].map(|part| part.entries);
    Ok(Reply::new(text, Impact { resource, counts, exposures, affected, tests, selection, next_offset, lock }))
}
