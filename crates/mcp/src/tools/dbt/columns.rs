//! `get_column_lineage`.

use std::{path::Path, sync::Arc};

use dbmux_dbt::{
    columns::{ColumnOf, ProjectColumns, STACK, Step},
    manifest::{Direction, Manifest},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{arguments::project, lineage::Way};
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

/// Of which column.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    /// The resource: its unique_id, its name, source.table, its relation or its file.
    #[serde(alias = "name")]
    resource: String,
    /// The column.
    column: String,
    /// up: what it is made from; down: what is made from it; both where it is left out.
    #[serde(default, deserialize_with = "given")]
    direction: Way,
    /// So many steps far; everything where it is left out.
    depth: Option<usize>,
    /// How many to tell of each list: 200 where it is left out, from 1 to 2,000.
    limit: Option<usize>,
    /// How many to leave out first: next_offset of the answer before.
    offset: Option<usize>,
    /// Seconds to wait for others who run dbt, where it has to compile the project. 0 never waits.
    wait: Option<f64>,
}

/// Its way.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Lineage {
    /// What it is made from, the nearest first.
    upstream: Vec<Made>,
    /// What is made from it, the nearest first.
    downstream: Vec<Made>,
    /// How many there are in all.
    upstream_total: usize,
    downstream_total: usize,
    /// The offset of the next ones; absent at the end.
    next_offset: Option<usize>,
    /// What could not be told, and why: there may be more.
    unknown: Vec<String>,
    /// Set where dbt had to compile the project.
    lock: Option<Locked>,
}

/// One column that is made from another one.
#[derive(Debug, Serialize, JsonSchema)]
struct Made {
    /// The resource of the column that is made.
    resource: String,
    column: String,
    from_resource: String,
    from_column: String,
    /// It is that column as it is, perhaps under another name.
    as_is: bool,
    /// Steps from the column that was asked for.
    distance: usize,
}

pub(super) async fn run(shared: Arc<Shared>, of: Of, call: Call) -> Result<Reply<Lineage>, Failure> {
    let page = Page::of(of.limit, of.offset)?;
    let dbt = project(&shared)?;
    let root = dbt.project()?.root;
    let needs = |manifest: &Manifest| {
        let found = manifest.find(&of.resource)?;
        let ways = [(of.direction != Way::Down, Direction::Up), (of.direction != Way::Up, Direction::Down)];
        let related = ways.into_iter().filter(|(wanted, _)| *wanted);
        let mut related = related.flat_map(|(_, way)| manifest.related(found, way, of.depth));
        Ok(found.needs_compiling() || related.any(|related| related.resource.needs_compiling()))
    };
    let (manifest, lock) = dbt.compiled(&call, wait(of.wait)?, needs).await?;
    let read = call.unless_cancelled(deep(move || read(&manifest, &root, &of)));
    let (upstream, downstream, unknown) = read.await?;
    let (upstream, downstream) = (page.cut(upstream), page.cut(downstream));
    let mut text = String::new();
    for part in [&upstream, &downstream] {
        text.extend(part.entries.iter().map(Made::line).chain([part.rest()]));
    }
    if text.is_empty() {
        text.push_str("nothing that can be told\n");
    }
    let unknown = page.cut(unknown);
    text.extend(unknown.entries.iter().map(|reason| format!("not told: {reason}\n")).chain([unknown.rest()]));
    let (upstream_total, downstream_total) = (upstream.total, downstream.total);
    let next_offset = page::next([upstream.next, downstream.next, unknown.next]);
    let (upstream, downstream, unknown) = (upstream.entries, downstream.entries, unknown.entries);
    Ok(Reply::new(text, Lineage { upstream, downstream, upstream_total, downstream_total, next_offset, unknown, lock }))
}

/// Both ways, and what could not be told.
type Found = (Vec<Made>, Vec<Made>, Vec<String>);

fn read(manifest: &Manifest, root: &Path, of: &Of) -> Result<Found, Failure> {
    let found = manifest.find(&of.resource)?;
    let mut columns = ProjectColumns::new(manifest, root);
    let mut unknown = Vec::new();
    let mut way = |wanted: bool, direction| -> Result<Vec<Made>, Failure> {
        if !wanted {
            return Ok(Vec::new());
        }
        let (steps, not_told) = columns.way(found, &of.column, direction, of.depth)?;
        unknown.extend(not_told);
        Ok(steps.into_iter().map(Made::from).collect())
    };
    let upstream = way(of.direction != Way::Down, Direction::Up)?;
    let downstream = way(of.direction != Way::Up, Direction::Down)?;
    unknown.sort();
    unknown.dedup();
    Ok((upstream, downstream, unknown))
}

/// Does it on a thread with the stack that deep SQL needs.
async fn deep<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    let (tell, told) = tokio::sync::oneshot::channel();
    // Where nobody listens any more, it was cancelled.
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || drop(tell.send(work())));
    thread.map_err(|error| Failure::system("a thread", &error))?;
    told.await.map_err(|_| Failure::usage("the project's SQL cannot be read", ""))?
}

impl From<Step> for Made {
    fn from(step: Step) -> Self {
        let ColumnOf { resource, column } = step.to;
        let ColumnOf { resource: from_resource, column: from_column } = step.from;
        Self { resource, column, from_resource, from_column, as_is: step.as_is, distance: step.distance }
    }
}

impl Made {
    /// `model.shop.orders.total <- model.shop.staged.amount`
    fn line(&self) -> String {
        let Self { resource, column, from_resource, from_column, as_is, .. } = self;
        format!("{resource}.{column} {} {from_resource}.{from_column}\n", if *as_is { "=" } else { "<-" })
    }
}
