//! The store of memories: where it is, and what makes its vectors.

use std::{
    env, fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use dbmux_memory::embed::{self, Embedder};

use crate::{args::EmbeddingArgs, failure::Failure};

/// The database of memories: the one that is named, else this user's, whose directory is made.
pub(in crate::command) fn place(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let data = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".local/share"));
    let unknown = || Failure::usage("your home directory is not known").with_hint("set HOME, or name the database");
    let folder = data.or_else(home).ok_or_else(unknown)?.join("dbmux");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|error| Failure::system(format!("make {}: {error}", folder.display())))?;
    Ok(folder.join("memory.db"))
}

/// What makes vectors of texts, where something was said to.
pub(in crate::command) fn embedder(args: &EmbeddingArgs) -> Result<Option<Arc<dyn Embedder>>, Failure> {
    let Some(place) = &args.embedder else { return Ok(None) };
    let key = env::var("DBMUX_EMBEDDER_KEY").ok().filter(|key| !key.is_empty());
    let opened = embed::open(place, args.embedder_model.as_deref(), key.as_deref());
    opened.map(Some).map_err(|error| Failure::usage(error.to_string()).with_hint(error.suggestion()))
}
