//! `list_resources`.

use std::sync::Arc;

use dbmux_dbt::manifest::Resource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{arguments::project, node::Node};
use crate::{
    call::Call,
    dbt::Locked,
    failure::Failure,
    reply::Reply,
    server::Shared,
    tools::{arguments::wait, page::Page},
};

/// Which ones.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Of this type: model, source, seed, snapshot, test, exposure, metric, analysis, …
    #[serde(alias = "type")]
    resource_type: Option<String>,
    /// With this tag.
    tag: Option<String>,
    /// Of this package.
    package: Option<String>,
    /// With this text in the name.
    name: Option<String>,
    /// How many to tell: 200 where it is left out, from 1 to 2,000.
    limit: Option<usize>,
    /// How many to leave out first.
    offset: Option<usize>,
    /// Seconds to wait for others who run dbt, where it has to parse the project. 0 never waits.
    wait: Option<f64>,
}

/// Those.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct List {
    resources: Vec<Node>,
    /// How many there are in all.
    total: usize,
    /// The offset of the next ones; absent at the end.
    next_offset: Option<usize>,
    /// Set where dbt had to parse the project.
    lock: Option<Locked>,
}

pub(super) async fn run(shared: Arc<Shared>, which: Which, call: Call) -> Result<Reply<List>, Failure> {
    let page = Page::of(which.limit, which.offset)?;
    let (manifest, lock) = project(&shared)?.manifest(&call, wait(which.wait)?).await?;
    let kinds: std::collections::BTreeSet<_> =
        manifest.resources.values().map(|resource| resource.resource_type.as_str()).collect();
    if let Some(kind) = which.resource_type.as_deref().filter(|kind| !kinds.contains(kind)) {
        let hint = format!("there are {}", kinds.into_iter().collect::<Vec<_>>().join(", "));
        return Err(Failure::usage(format!("there is no resource of type {kind:?}"), hint));
    }
    let found: Vec<_> = manifest.resources.values().filter(|resource| which.means(resource)).collect();
    let part = page.cut(found);
    let rest = part.rest();
    let resources: Vec<_> = part.entries.into_iter().map(Node::of).collect();
    let text = match part.total {
        0 => "there is none\n".to_owned(),
        _ => resources.iter().map(Node::line).collect::<String>() + &rest,
    };
    Ok(Reply::new(text, List { resources, total: part.total, next_offset: part.next, lock }))
}

impl Which {
    fn means(&self, resource: &Resource) -> bool {
        let is = |asked: &Option<String>, value: &str| asked.as_deref().is_none_or(|asked| asked == value);
        is(&self.resource_type, &resource.resource_type)
            && is(&self.package, &resource.package_name)
            && self.tag.as_ref().is_none_or(|tag| resource.tags.contains(tag))
            && self.name.as_ref().is_none_or(|part| resource.name.to_lowercase().contains(&part.to_lowercase()))
    }
}
