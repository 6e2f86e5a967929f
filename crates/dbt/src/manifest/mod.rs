//! A project's manifest, which dbt writes: what there is, and what is made from what.
//!
//! Source: `manifest/v12.json` of dbt's published schemas, of which only what is needed here is read.

mod chosen;
mod fresh;
mod graph;
mod read;
mod resource;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use chosen::is_for;
pub use fresh::is_fresh;
pub use graph::{Direction, Related};
pub use read::{place, read};
pub use resource::{Column, Resource};
use serde::Deserialize;

use crate::DbtError;

/// What dbt says of a project.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// dbt's version, when it was made, and the like.
    pub made: Made,
    /// Models, tests, seeds, snapshots, analyses, sources, exposures, metrics, semantic models, saved queries, unit tests,
    /// functions: by `unique_id`.
    pub resources: BTreeMap<String, Resource>,
    /// The project's own files that something is in.
    files: BTreeSet<String>,
    parents: BTreeMap<String, Vec<String>>,
    children: BTreeMap<String, Vec<String>>,
}

/// How a manifest was made.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Made {
    /// dbt's version.
    #[serde(default)]
    pub dbt_version: String,
    /// When: UTC, RFC 3339.
    #[serde(default)]
    pub generated_at: String,
    /// The number of the invocation that wrote it, which its other artifacts have as well.
    #[serde(default)]
    pub invocation_id: String,
    /// The project's name.
    #[serde(default)]
    pub project_name: Option<String>,
    /// `duckdb`, `postgres`, …
    #[serde(default)]
    pub adapter_type: Option<String>,
}

impl Manifest {
    /// The resource that people mean: by its `unique_id`, its name, a source's `source.table`, a relation as SQL has it, or
    /// its file.
    ///
    /// # Errors
    /// [`DbtError::NoResource`] with those that may have been meant, where it is none, or several.
    pub fn find(&self, asked: &str) -> Result<&Resource, DbtError> {
        if let Some(resource) = self.resources.get(asked) {
            return Ok(resource);
        }
        let named: Vec<_> = self.resources.values().filter(|resource| resource.is_called(asked)).collect();
        // A test or an exposure that is called as a model is: the model is meant.
        let built: Vec<_> = named.iter().copied().filter(|resource| resource.is_relation()).collect();
        match (named.as_slice(), built.as_slice()) {
            ([only], _) | (_, [only]) => Ok(only),
            ([], _) => Err(DbtError::NoResource { asked: asked.to_owned(), near: self.near(asked) }),
            (several, _) => Err(DbtError::NoResource {
                asked: asked.to_owned(),
                near: several.iter().map(|resource| resource.unique_id.clone()).collect(),
            }),
        }
    }

    /// What SQL calls by this name, as dbt writes relations.
    pub(crate) fn relation(&self, name: &[String]) -> Option<&Resource> {
        let found: Vec<_> = self.resources.values().filter(|resource| resource.is_at(name)).collect();
        // A seed or a model that is also declared as a source is what makes it.
        let made: Vec<_> = found.iter().copied().filter(|resource| resource.resource_type != "source").collect();
        match (made.as_slice(), found.as_slice()) {
            ([only], _) | ([], [only]) => Some(only),
            _ => None,
        }
    }

    /// The ephemeral model of this name.
    pub(crate) fn ephemeral(&self, name: &str) -> Option<&Resource> {
        self.resources.values().find(|resource| resource.name == name && resource.materialized() == Some("ephemeral"))
    }

    fn near(&self, asked: &str) -> Vec<String> {
        const MOST: usize = 5;
        let asked = asked.to_lowercase();
        let parts: Vec<_> = asked.split(['.', '_', ' ']).filter(|part| part.len() > 2).collect();
        let alike = |resource: &&Resource| {
            let name = resource.name.to_lowercase();
            parts.iter().any(|part| name.contains(part)) || asked.contains(&name)
        };
        self.resources.values().filter(alike).take(MOST).map(|resource| resource.unique_id.clone()).collect()
    }
}
