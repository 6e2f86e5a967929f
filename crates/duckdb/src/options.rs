//! How the instance is set up.

use std::path::{Path, PathBuf};

/// What the owner of a database may choose; the default fits a machine that others use too.
#[derive(Debug, Clone, Default)]
pub struct DuckDbOptions {
    /// The storage version of a file that is made: `v1.2.0`, `latest`. `None`: DuckDB's own default.
    pub storage_version: Option<String>,
    /// Worker threads. `None`: as many as the machine has cores; one less where there are more than four.
    pub threads: Option<usize>,
    /// As DuckDB writes it: `4GB`, `60%`. `None`: half of the machine's memory.
    pub memory_limit: Option<String>,
    /// Lets DuckDB download missing extensions. Off: a missing one is told by name at once.
    pub install_extensions: bool,
}

impl DuckDbOptions {
    /// The settings that the instance of this file starts with.
    pub(crate) fn settings(&self, path: &Path) -> Vec<(String, String)> {
        let threads = self.threads.unwrap_or_else(default_threads);
        let pairs = [
            ("threads", threads.to_string()),
            ("memory_limit", self.memory_limit.clone().unwrap_or_else(|| "50%".to_owned())),
            ("temp_directory", scratch(path).to_string_lossy().into_owned()),
            ("autoinstall_known_extensions", self.install_extensions.to_string()),
            ("autoload_known_extensions", "true".to_owned()),
            // UUID, HUGEINT, BIT and TIMETZ keep every bit, as Arrow extension types.
            ("arrow_lossless_conversion", "true".to_owned()),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Where spilled data and copies lie: in the folder that DuckDB would use, and apart from what a foreign DuckDB puts (and
/// sweeps) there.
pub(crate) fn scratch(path: &Path) -> PathBuf {
    let mut folder = path.as_os_str().to_owned();
    folder.push(".tmp");
    PathBuf::from(folder).join("dbmux")
}

/// A core is left to readers and to everybody else where a statement that wants them all hardly misses it. Where it would
/// cost a quarter of them or more, the system shares them out: see `docs/design/threads.md`.
fn default_threads() -> usize {
    const ALL_UP_TO: usize = 4;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if cores > ALL_UP_TO { cores - 1 } else { cores }
}
