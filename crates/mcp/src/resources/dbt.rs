//! The dbt project's resources, each in all that its manifest says.

use rmcp::model::{Resource, ResourceTemplate};

use super::{Found, escaped, unescaped};
use crate::{call::Call, failure::Failure, server::Shared, tools};

/// Before a resource's `unique_id`.
const PREFIX: &str = "dbmux://dbt/";
/// How many are listed: the others are found by `list_resources`.
const MOST: usize = 1000;

/// What others build on, as far as there is a manifest: dbt is not run to list it.
pub(super) fn all(shared: &Shared) -> Vec<Resource> {
    let manifest = shared.dbt.as_ref().and_then(|dbt| dbt.old_manifest());
    let nodes = manifest.iter().flat_map(|manifest| manifest.resources.values());
    let nodes = nodes.filter(|resource| resource.is_relation() || resource.resource_type == "exposure");
    let resource = |resource: &dbmux_dbt::manifest::Resource| {
        let description = resource.description.as_deref().and_then(|text| text.lines().next()).unwrap_or_default();
        Resource::new(format!("{PREFIX}{}", escaped(&resource.unique_id)), resource.unique_id.clone())
            .with_description(description)
            .with_mime_type("application/json")
    };
    nodes.take(MOST).map(resource).collect()
}

/// How any of them is asked for.
pub(super) fn template(shared: &Shared) -> Option<ResourceTemplate> {
    shared.dbt.as_ref()?;
    let template = ResourceTemplate::new(format!("{PREFIX}{{unique_id}}"), "dbt resource");
    Some(template.with_description("A model, source, test, … of the dbt project").with_mime_type("application/json"))
}

/// What is in one; `None`: it is none of these.
pub(super) async fn read(shared: &Shared, asked: &str, call: &Call) -> Result<Option<Found>, Failure> {
    let (Some(dbt), Some(id)) = (&shared.dbt, asked.strip_prefix(PREFIX)) else { return Ok(None) };
    let (manifest, _) = dbt.manifest(call, None).await?;
    let Some(resource) = unescaped(id).and_then(|id| manifest.resources.get(&id)) else { return Ok(None) };
    let text = serde_json::to_string_pretty(&tools::described(resource)).unwrap_or_default();
    Ok(Some(Found { text, kind: "application/json" }))
}
