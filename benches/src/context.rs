//! Where things are, and how long to measure.

use std::{path::PathBuf, time::Duration};

use crate::Result;

/// What every row is given.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Context {
    /// The `dbmux` binary.
    #[arg(long)]
    pub(crate) dbmux: PathBuf,
    /// The rivals' Python.
    #[arg(long)]
    pub(crate) python: PathBuf,
    /// The rivals' scripts.
    #[arg(long)]
    pub(crate) rivals: PathBuf,
    /// The `dbt` that is measured, plain and through dbmux.
    #[arg(long)]
    pub(crate) dbt: Option<PathBuf>,
    /// The rival's server for dbt projects.
    #[arg(long)]
    pub(crate) dbt_mcp: Option<PathBuf>,
    /// The Python that has `lancedb`.
    #[arg(long)]
    pub(crate) lance_python: Option<PathBuf>,
    /// The Python that has mcp-memory-service.
    #[arg(long)]
    pub(crate) memories_python: Option<PathBuf>,
    /// A folder with a model that embeds texts.
    #[arg(long)]
    pub(crate) model: Option<PathBuf>,
    /// Where databases are made: on the disk that is measured.
    #[arg(long)]
    pub(crate) directory: PathBuf,
    /// Fewer and shorter rounds.
    #[arg(long)]
    pub(crate) quick: bool,
}

impl Context {
    /// How many, in a full run; fewer in a quick one.
    pub(crate) fn rounds(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// How long, in a full run; a part of it in a quick one.
    pub(crate) fn time(&self, full: Duration) -> Duration {
        if self.quick { full / 3 } else { full }
    }

    /// A directory of its own, which goes away.
    pub(crate) fn fresh(&self) -> Result<tempfile::TempDir> {
        Ok(tempfile::Builder::new().prefix("run-").tempdir_in(&self.directory)?)
    }
}
