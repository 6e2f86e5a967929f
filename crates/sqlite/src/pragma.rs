//! Which settings a client may read and change.
//!
//! Whatever is not known here is refused when it is given a value: a setting that SQLite adds may harm others.

use dbmux_engine::EngineError;

use crate::policy::refused;

/// What a `PRAGMA` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pragma {
    /// Answers.
    Reads,
    /// Changes the session.
    Sets,
    /// Changes the file.
    Writes,
    /// Wants the database for itself.
    WantsAll,
}

/// They answer, and what stands in their brackets says about what.
const ASKS: [&str; 18] = [
    "collation_list",
    "compile_options",
    "data_version",
    "database_list",
    "foreign_key_check",
    "foreign_key_list",
    "freelist_count",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "module_list",
    "pragma_list",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// A session's own.
const SETTINGS: [&str; 24] = [
    "analysis_limit",
    "automatic_index",
    "cache_size",
    "cache_spill",
    "case_sensitive_like",
    "cell_size_check",
    "checkpoint_fullfsync",
    "count_changes",
    "defer_foreign_keys",
    "empty_result_callbacks",
    "foreign_keys",
    "full_column_names",
    "fullfsync",
    "ignore_check_constraints",
    "legacy_alter_table",
    "max_page_count",
    "mmap_size",
    "recursive_triggers",
    "reverse_unordered_selects",
    "secure_delete",
    "short_column_names",
    "temp_store",
    "threads",
    "trusted_schema",
];

/// They are in the file.
const IN_THE_FILE: [&str; 6] =
    ["application_id", "auto_vacuum", "encoding", "incremental_vacuum", "page_size", "user_version"];

/// What a `PRAGMA` does.
///
/// # Errors
/// [`EngineError::Refused`] where it would harm others.
pub(crate) fn judge(name: &str, value: Option<&str>) -> Result<Pragma, EngineError> {
    let name = name.to_ascii_lowercase();
    let name = name.as_str();
    match name {
        "wal_checkpoint" => return Ok(Pragma::WantsAll),
        "optimize" | "incremental_vacuum" => return Ok(Pragma::Writes),
        "shrink_memory" => return Ok(Pragma::Reads),
        _ if ASKS.contains(&name) => return Ok(Pragma::Reads),
        _ => {}
    }
    let Some(value) = value else {
        return Ok(Pragma::Reads);
    };
    if SETTINGS.contains(&name) {
        return Ok(Pragma::Sets);
    }
    if IN_THE_FILE.contains(&name) {
        return Ok(Pragma::Writes);
    }
    let why = match name {
        "synchronous" if matches!(value.to_ascii_uppercase().as_str(), "FULL" | "EXTRA" | "2" | "3") => {
            return Ok(Pragma::Sets);
        }
        "synchronous" => "writes that were acknowledged could be lost: it is the owner's to say for everybody",
        "journal_mode" => "it is the file's, and everybody's: dbmux keeps it in WAL mode where it can",
        "locking_mode" => "it would keep everybody else from the file: a transaction does that for a while",
        "writable_schema" | "schema_version" => "a mistake in it makes the file unreadable for everybody",
        "busy_timeout" => "statements wait in the broker's line: give the statement a deadline there",
        "query_only" => "open the session, or run the statement, to read only",
        "wal_autocheckpoint" | "journal_size_limit" => "the log is everybody's",
        "soft_heap_limit" | "hard_heap_limit" => "it is the whole process's, and everybody's",
        "temp_store_directory" | "data_store_directory" => "it is the whole process's, and everybody's",
        _ => "it is not known here whether it could harm others",
    };
    Err(refused(format!("PRAGMA {name} = {value}"), why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_judged_by_name() {
        for (name, value, expected) in [
            ("table_info", Some("t"), Pragma::Reads),
            ("User_Version", None, Pragma::Reads),
            ("User_Version", Some("7"), Pragma::Writes),
            ("foreign_keys", Some("ON"), Pragma::Sets),
            ("synchronous", Some("extra"), Pragma::Sets),
            ("wal_checkpoint", None, Pragma::WantsAll),
            ("journal_mode", None, Pragma::Reads),
        ] {
            assert_eq!(judge(name, value).expect("allowed"), expected, "{name}");
        }
        for name in ["journal_mode", "locking_mode", "writable_schema", "synchronous", "what_is_new"] {
            assert!(matches!(judge(name, Some("0")), Err(EngineError::Refused { .. })), "{name}");
        }
    }
}
