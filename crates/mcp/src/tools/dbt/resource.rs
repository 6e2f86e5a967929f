//! `get_resource_info`.

use std::sync::Arc;

use dbmux_dbt::manifest::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    arguments::project,
    node::{Described, described},
};
use crate::{call::Call, dbt::Locked, failure::Failure, reply::Reply, server::Shared, tools::arguments::wait};

/// Which one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Its unique_id, its name, source.table, its relation or its file.
    #[serde(alias = "name")]
    resource: String,
    /// Seconds to wait for others who run dbt, where it has to parse the project. 0 never waits.
    wait: Option<f64>,
}

/// It.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Info {
    resource: Described,
    /// What it is made from.
    parents: Vec<String>,
    /// What is made from it, and tests it.
    children: Vec<String>,
    /// Set where dbt had to parse the project.
    lock: Option<Locked>,
}

pub(super) async fn run(shared: Arc<Shared>, which: Which, call: Call) -> Result<Reply<Info>, Failure> {
    let (manifest, lock) = project(&shared)?.manifest(&call, wait(which.wait)?).await?;
    let found = manifest.find(&which.resource)?;
    let beside = |direction| manifest.beside(&found.unique_id, direction).map(str::to_owned).collect::<Vec<_>>();
    let (parents, children) = (beside(Direction::Up), beside(Direction::Down));
    let resource = described(found);
    let mut text = resource.text();
    for (what, ids) in [("made from", &parents), ("below it", &children)] {
        if !ids.is_empty() {
            text.push_str(&format!("{what}: {}\n", ids.join(", ")));
        }
    }
    Ok(Reply::new(text, Info { resource, parents, children, lock }))
}
