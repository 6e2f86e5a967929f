//! What a server is started with.

use std::{path::PathBuf, sync::Arc, time::Duration};

use dbmux_memory::embed::Embedder;

use crate::dbt::DbtOptions;

/// How a database is asked what there is, in its engine's SQL.
#[derive(Debug, Clone, Copy)]
pub struct CatalogQuestions {
    /// `database`, `schema`, `name`, `kind`.
    pub tables: &'static str,
    /// `database`, `schema`, `name`, `sql`: how tables and views were made.
    pub definitions: &'static str,
}

/// What a server is started with.
#[derive(Clone)]
pub struct McpOptions {
    /// The databases that tools may use. None is opened before a tool asks for it.
    pub databases: Vec<PathBuf>,
    /// Nothing is written, and the tools that write are not offered.
    pub read_only: bool,
    /// How long a tool waits for others where its caller does not say.
    pub wait: Duration,
    /// The folder that exports go to. `None`: there is no `export`.
    pub exports: Option<PathBuf>,
    /// The dbt project that tools may use. `None`: there are no tools for dbt.
    pub dbt: Option<DbtOptions>,
    /// The database of memories, and what makes vectors of their texts. `None`: there are no tools for memories.
    pub memory: Option<(PathBuf, Option<Arc<dyn Embedder>>)>,
    /// The program that brokers are started with, where somebody has chosen one.
    pub broker_program: Option<PathBuf>,
    /// How an engine is asked what there is, by its name; `None` for one that this build does not have.
    pub catalog: fn(&str) -> Option<CatalogQuestions>,
}
