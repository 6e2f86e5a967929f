//! The tools, one file each.

mod arguments;
mod dbt;
mod describe;
mod execute;
mod export;
mod holders;
mod list;
mod locks;
mod memory;
mod page;
mod query;
mod rows;
mod stats;
mod tables;

use crate::{
    options::McpOptions,
    tool::{Does, Tool},
};

pub(crate) use dbt::described;
pub(crate) use tables::definitions;

/// All tools of a server that is started so.
pub(crate) fn all(options: &McpOptions) -> Vec<Tool> {
    let mut tools = vec![
        Tool::new(
            "query",
            Does::Reads,
            "Run one SQL statement that reads, and get its rows. Refuses whatever writes. The rest of a long answer is \
             read with the cursor that comes with it; only 20,000 rows or 32 MiB are kept: narrow the query, or use \
             `export` for more. Integers beyond 2^53 and decimals are strings with all their digits.",
            query::run,
        ),
        Tool::new(
            "list_databases",
            Does::Reads,
            "List the databases that can be used here, with the engine and state of each that somebody uses now. Opens \
             nothing.",
            list::run,
        ),
        Tool::new("list_tables", Does::Reads, "List a database's tables and views.", tables::run),
        Tool::new(
            "describe_table",
            Does::Reads,
            "Describe a table: its columns and types, how it was made, its number of rows, and some rows of it.",
            describe::run,
        ),
        Tool::new(
            "lock_status",
            Does::Reads,
            "Tell for each database who owns it, whether it is attached, who has its file, whether it is handed over by a \
             lease, and who waits at which place. Waits for nobody, and opens nothing.",
            locks::run,
        ),
        Tool::new(
            "who_holds",
            Does::Reads,
            "Tell which processes have a database's file now, and what to do about each: use it when something is locked. \
             Waits for nobody, and opens nothing.",
            holders::run,
        ),
        Tool::new(
            "get_concurrent_access_stats",
            Does::Reads,
            "Figures of the locks since they were made: acquisitions, failures, waits, and who waits now.",
            stats::run,
        ),
        Tool::new(
            "execute",
            Does::Writes,
            "Run SQL that writes: one statement, or several as one transaction, of which all happen or none. Waits in line \
             while somebody else has the file. What it answers is in the file, and synced. Tells what RETURNING answers.",
            execute::run,
        ),
    ];
    if options.databases.is_empty() {
        let of_databases = ["query", "list_tables", "describe_table", "execute"];
        tools.retain(|tool| !of_databases.contains(&tool.definition.name.as_ref()));
    } else if options.exports.is_some() {
        tools.push(Tool::new(
            "export",
            Does::Exports,
            "Write the rows of one SQL statement that reads to a file in the exports' folder, as CSV, JSON lines or an \
             Arrow stream, however many they are. Replaces no file unless asked to.",
            export::run,
        ));
    }
    if options.dbt.is_some() {
        tools.extend(dbt::all());
    }
    if options.memory.is_some() {
        tools.extend(memory::all());
    }
    tools
}
