//! The rows of the table: each measures one thing, ours and the rivals' in turn.

mod beside;
mod dbt;
mod find;
mod insert;
pub(crate) mod lance;
mod lease;
mod leased;
mod lock_alone;
mod lock_hand_off;
mod lock_killed;
mod mcp;
pub(crate) mod memories;
mod memory;
pub(crate) mod peer;
mod process;
mod scan;
mod select;
pub(crate) mod sqlite;
mod vectors;

use crate::{Result, context::Context, figures::Line};

/// One of them.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) measure: fn(&Context) -> Result<Vec<Line>>,
}

const ALL: &[Row] = &[
    Row { name: "lock", about: "uncontended acquire and release", measure: lock_alone::measure },
    Row { name: "hand-off", about: "from a release to the next one in", measure: lock_hand_off::measure },
    Row { name: "killed", about: "from a holder's SIGKILL to the next one in", measure: lock_killed::measure },
    Row { name: "select", about: "a small read on an open session", measure: select::measure },
    Row { name: "scan", about: "5 million rows of 3 columns to Arrow in the client", measure: scan::measure },
    Row { name: "insert", about: "acknowledged, synced single-row INSERTs", measure: insert::measure },
    Row { name: "sqlite-insert", about: "INSERTs of sixteen processes into one SQLite file", measure: sqlite::insert },
    Row { name: "sqlite-read", about: "larger reads of an SQLite file", measure: sqlite::read },
    Row { name: "vectors", about: "vector search: this makes files of about 1.2 GB", measure: vectors::measure },
    Row { name: "lance", about: "LanceDB with eight writers and eight readers", measure: lance::measure },
    Row { name: "process", about: "a whole `dbmux sql`", measure: process::measure },
    Row { name: "mcp", about: "servers for agents", measure: mcp::measure },
    Row { name: "memories", about: "agents' memories, stored and found", measure: memories::measure },
    Row { name: "memories-many", about: "searches among 100,000 of them", measure: memories::many },
    Row { name: "lease", about: "a file handed over, and `dbmux run`", measure: lease::measure },
    Row { name: "memory", about: "the broker's, idle and released", measure: memory::measure },
    Row { name: "dbt", about: "one model once more, dbt warm", measure: dbt::again },
    Row { name: "dbt-eight", about: "eight dbt runs at once", measure: dbt::eight },
    Row { name: "dbt-plan", about: "a simulation of ten years: this takes long", measure: dbt::plan },
    Row { name: "dbt-mcp", about: "one model, by servers for agents", measure: dbt::agents },
    Row { name: "leased", about: "reads while another process has the file", measure: leased::measure },
    Row { name: "beside", about: "small statements beside heavy ones", measure: beside::measure },
    Row { name: "find", about: "dbt, among 300 processes", measure: find::measure },
];

/// The rows of these names; all where none is named.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<Row>> {
    if let Some(unknown) = names.iter().find(|name| ALL.iter().all(|row| row.name != **name)) {
        let known: Vec<_> = ALL.iter().map(|row| row.name).collect();
        return Err(format!("no row is called {unknown}; there are {}", known.join(", ")).into());
    }
    Ok(ALL.iter().filter(|row| names.is_empty() || names.iter().any(|name| name == row.name)).copied().collect())
}
