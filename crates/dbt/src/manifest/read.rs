//! Reads a manifest from dbt's target directory.

use std::{
    collections::BTreeMap,
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{Made, Manifest, Resource};
use crate::{DbtError, Environment, Project};

/// What dbt calls it.
const NAME: &str = "manifest.json";

/// As dbt writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Written {
    metadata: Made,
    nodes: BTreeMap<String, Resource>,
    sources: BTreeMap<String, Resource>,
    exposures: BTreeMap<String, Resource>,
    metrics: BTreeMap<String, Resource>,
    semantic_models: BTreeMap<String, Resource>,
    saved_queries: BTreeMap<String, Resource>,
    unit_tests: BTreeMap<String, Resource>,
    functions: BTreeMap<String, Resource>,
    macros: BTreeMap<String, Placed>,
    parent_map: BTreeMap<String, Vec<String>>,
    child_map: BTreeMap<String, Vec<String>>,
}

/// A macro, as far as it is of interest.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Placed {
    package_name: String,
    original_file_path: String,
}

/// Where dbt writes it in this environment.
pub fn place(project: &Project, environment: &Environment) -> PathBuf {
    let target = environment.dbt("TARGET_PATH").map(|target| project.root.join(target));
    target.as_ref().unwrap_or(&project.target_path).join(NAME)
}

/// Reads it.
///
/// # Errors
/// [`DbtError::File`] where it is not there, or is not one.
pub fn read(path: &Path) -> Result<Manifest, DbtError> {
    let wrong = |reason: String| DbtError::File { path: path.to_owned(), reason };
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    let written: Written = serde_json::from_reader(BufReader::new(file)).map_err(|error| wrong(error.to_string()))?;
    Ok(Manifest::from(written))
}

impl From<Written> for Manifest {
    fn from(written: Written) -> Self {
        let Written { metadata, nodes, macros, parent_map, child_map, .. } = written;
        let others = [
            written.sources,
            written.exposures,
            written.metrics,
            written.semantic_models,
            written.saved_queries,
            written.unit_tests,
            written.functions,
        ];
        let resources: BTreeMap<_, _> = nodes.into_iter().chain(others.into_iter().flatten()).collect();
        let placed = |one: &Placed| (one.package_name.clone(), one.original_file_path.clone());
        let placed = macros.values().map(placed);
        let of_resources = resources.values().map(|one| (one.package_name.clone(), one.original_file_path.clone()));
        let own = placed.chain(of_resources).filter(|(package, _)| metadata.project_name.as_ref() == Some(package));
        let files = own.map(|(_, file)| file).filter(|file| !file.is_empty()).collect();
        Self { made: metadata, resources, files, parents: parent_map, children: child_map }
    }
}
