//! Every environment variable that dbmux reads.

/// A variable: its name, what it sets, and what holds without it.
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) default: &'static str,
}

const fn variable(name: &'static str, meaning: &'static str, default: &'static str) -> Variable {
    Variable { name, meaning, default }
}

/// The table of `dbmux environment` and of `docs/environment.md`.
pub(crate) const VARIABLES: &[Variable] = &[
    variable(
        "DBMUX_WAIT",
        "how long commands wait for others (`--wait`): `500ms`, `30s`, `2m`; `0` never waits",
        "30s",
    ),
    variable("DBMUX_PRIORITY", "who goes first among those who wait (`--priority`): `high`, `normal`, `low`", "normal"),
    variable("DBMUX_LOG", "what is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter by module", "warn"),
    variable(
        "DBMUX_RUNTIME_DIR",
        "where sockets, logs and global locks are: an absolute path",
        "$XDG_RUNTIME_DIR/dbmux, else /tmp/dbmux-UID",
    ),
    variable("DBMUX_BIN", "the program that clients start brokers with", "this one"),
    variable("DBMUX_HISTORY", "the prompt's history file, which only you can read", "~/.local/state/dbmux/history"),
    variable("DBMUX_RELEASE_AFTER", "how long an idle broker keeps the file (`--release-after`)", "1s"),
    variable("DBMUX_IDLE_EXIT", "how long a broker stays without sessions (`--idle-exit`)", "10m"),
    variable("DBMUX_IDLE_TRANSACTION", "how long a transaction may be idle while others wait for it", "30s"),
    variable(
        "DBMUX_DRAIN",
        "how long running statements may take when a broker leaves, or another process waits for the file",
        "30s",
    ),
    variable("DBMUX_WORKERS", "statements that a broker runs side by side: MIN..MAX", "4..16"),
    variable("DBMUX_SERIAL", "a broker runs one statement at a time, to debug: `true`", "false"),
    variable("DBMUX_QUEUE", "statements that may wait at a broker", "1000"),
    variable("DBMUX_MAX_INFLIGHT", "statements of one session that may run or wait", "64"),
    variable(
        "DBMUX_SNAPSHOT_LIMIT",
        "the largest file that is copied to answer reads during a lease, where the file system cannot share its blocks",
        "2GiB",
    ),
    variable("DBMUX_STORAGE_VERSION", "the storage version of files that are made", "DuckDB's own"),
    variable("DBMUX_MEMORY_LIMIT", "the engine's memory limit: `4GB`, `60%`", "half of the machine's"),
    variable("DBMUX_THREADS", "the engine's threads", "all cores; of more than four, all but one"),
    variable("DBMUX_INSTALL_EXTENSIONS", "DuckDB downloads the extensions that statements need: `true`", "false"),
    variable("DBMUX_FENCE", "not read but set: the fencing token, for the command that `dbmux lock` runs", "-"),
    variable(
        "DBMUX_LEASE",
        "not for you to set: what `dbmux run` tells its command of the lease; believed only with the lock's own word",
        "-",
    ),
    variable(
        "DBMUX_DBT",
        "the dbt that `dbmux dbt` runs (`--dbt`)",
        "the virtual environment's, uv's, or the first in PATH",
    ),
    variable(
        "DBMUX_EMBEDDER",
        "what makes vectors of memories (`--embedder`): a model's folder, or an endpoint's address",
        "none: words alone",
    ),
    variable("DBMUX_EMBEDDER_MODEL", "the endpoint's model (`--embedder-model`)", "-"),
    variable("DBMUX_EMBEDDER_KEY", "the key that the endpoint wants; only from here", "none"),
    variable("NO_COLOR", "no colours, whatever it says (`--color`)", "colours on a terminal"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_has_the_same_table() {
        let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/environment.md")).unwrap();
        for Variable { name, meaning, default } in VARIABLES {
            let row = format!("| `{name}` | {meaning} | {default} |");
            assert!(guide.contains(&row), "docs/environment.md lacks this row:\n{row}");
        }
        let rows = guide.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, VARIABLES.len(), "docs/environment.md has rows that the program does not know");
    }
}
