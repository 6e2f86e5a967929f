//! The dbt project that tools use: asked through its runner, as `dbmux dbt` asks.

mod apart;
mod invoke;
mod manifest;
mod profile;

use std::{path::PathBuf, sync::Arc, time::Duration};

use dbmux_dbt::{DbtError, Environment, Interpreter, Project, find::Search, guarded, profile::Asked};
use dbmux_lock::Snapshot;
use parking_lot::Mutex;

pub(crate) use invoke::{Locked, Ran};
use manifest::Kept;

use crate::{failure::Failure, options::McpOptions};

/// The project that a server was started with.
#[derive(Debug, Clone)]
pub struct DbtOptions {
    /// Its directory.
    pub directory: PathBuf,
    /// The program `dbt`, where one is named.
    pub dbt: Option<PathBuf>,
    /// dbmux itself: what a runner is started with.
    pub program: PathBuf,
    /// What dbt sees: without a project of its own.
    pub environment: Environment,
}

/// The same, and what is known of it.
pub(crate) struct Dbt {
    options: DbtOptions,
    wait: Duration,
    pub(crate) read_only: bool,
    manifest: Mutex<Option<Kept>>,
    profile: Mutex<Option<Asked>>,
}

impl Dbt {
    /// Looks at nothing yet.
    pub(crate) fn new(options: &McpOptions) -> Option<Arc<Self>> {
        let of_dbt = options.dbt.clone()?;
        let (manifest, profile) = (Mutex::default(), Mutex::default());
        Some(Arc::new(Self { options: of_dbt, wait: options.wait, read_only: options.read_only, manifest, profile }))
    }

    /// The project, as its file is now.
    pub(crate) fn project(&self) -> Result<Project, Failure> {
        Ok(Project::at(&self.options.directory)?)
    }

    fn interpreter(&self, project: &Project) -> Result<Interpreter, DbtError> {
        Interpreter::find(self.options.dbt.as_deref(), &project.root, &self.options.environment)
    }

    /// Who runs dbt in the project, and who waits to.
    pub(crate) fn lock(&self) -> Result<(Project, Snapshot), Failure> {
        let project = self.project()?;
        let snapshot = guarded::project_lock(&project)?;
        Ok((project, snapshot))
    }

    /// The files that dbt opens, as far as they are known without it.
    pub(crate) fn databases(&self) -> Vec<PathBuf> {
        self.project().map_or_else(|_| Vec::new(), |project| self.known_databases(&project))
    }

    /// Where to look for a dbt that was started without dbmux.
    pub(crate) fn search(&self, project: &Project) -> Search {
        guarded::search(project, &self.known_databases(project))
    }
}
