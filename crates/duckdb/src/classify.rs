//! What a statement is, for whoever decides when it may run.
//!
//! DuckDB's own word for it is not enough: `WITH w AS (INSERT …) SELECT` and `SELECT nextval('s')` are SELECTs. So a
//! statement reads if its type does, its plan changes no database, and everything that the plan calls, views and macros
//! written out, is known only to answer. In doubt it writes.

use dbmux_engine::StatementKind;

use crate::{
    facts::{Fact, TYPE},
    ffi::{Signature, StatementType},
};

/// Table functions that only answer, by their beginnings.
const ANSWERS: [&str; 18] = [
    "arrow_scan",
    "duckdb_",
    "generate_series",
    "glob",
    "json_each",
    "json_tree",
    "parquet_",
    "pragma_",
    "query",
    "range",
    "read_",
    "repeat",
    "seq_scan",
    "sniff_csv",
    "summary",
    "test_",
    "unnest",
    "which_secret",
];

/// `BEGIN`, `COMMIT`, `ROLLBACK` and their synonyms.
pub(crate) fn controls_transaction(kind: StatementType) -> bool {
    kind == StatementType::DUCKDB_V2_STATEMENT_TYPE_TRANSACTION
}

/// What a bound statement may do.
pub(crate) fn kind(facts: &[Fact], signature: &Signature) -> StatementKind {
    if signature.calls().any(|call| matches!(call, "checkpoint" | "force_checkpoint")) || wants_all(facts) {
        return StatementKind::Exclusive;
    }
    let reads = !signature.modifies && has_reading_type(facts, signature) && signature.calls().all(only_answers);
    if reads { StatementKind::Read } else { StatementKind::Write }
}

/// Whether a statement may run where nothing may be written, inside a read-only transaction. Beside what reads that is
/// a `PIVOT` of unknown columns: a temporary type and a query, of which the transaction refuses what writes.
pub(crate) fn may_run_read_only(facts: &[Fact], kind: StatementKind) -> bool {
    const MULTI: u32 = StatementType::DUCKDB_V2_STATEMENT_TYPE_MULTI as u32;
    const SELECT: u32 = StatementType::DUCKDB_V2_STATEMENT_TYPE_SELECT as u32;
    const CREATE: u32 = StatementType::DUCKDB_V2_STATEMENT_TYPE_CREATE as u32;
    let is_pivot = facts.first() == Some(&Fact::Statement(MULTI))
        && facts.iter().all(|fact| match fact {
            Fact::Statement(kind) => matches!(*kind, MULTI | SELECT | CREATE),
            Fact::Create { kind, temporary } => *kind == TYPE && *temporary,
            _ => false,
        });
    kind == StatementKind::Read || is_pivot
}

/// `VACUUM`, `ANALYZE`, and checkpoints by other names.
fn wants_all(facts: &[Fact]) -> bool {
    const VACUUM: u32 = StatementType::DUCKDB_V2_STATEMENT_TYPE_VACUUM as u32;
    const ANALYZE: u32 = StatementType::DUCKDB_V2_STATEMENT_TYPE_ANALYZE as u32;
    facts.iter().any(|fact| match fact {
        Fact::Statement(VACUUM | ANALYZE) => true,
        Fact::Pragma { name } | Fact::Call { name } => name.ends_with("checkpoint"),
        _ => false,
    })
}

/// Whether the statement, and every statement in it, is of a type that answers.
fn has_reading_type(facts: &[Fact], signature: &Signature) -> bool {
    const SELECT: u32 = StatementType::DUCKDB_V2_STATEMENT_TYPE_SELECT as u32;
    const EXPLAIN: u32 = StatementType::DUCKDB_V2_STATEMENT_TYPE_EXPLAIN as u32;
    const CALL: u32 = StatementType::DUCKDB_V2_STATEMENT_TYPE_CALL as u32;
    const PRAGMA: u32 = StatementType::DUCKDB_V2_STATEMENT_TYPE_PRAGMA as u32;
    matches!(signature.statement_type, SELECT | EXPLAIN | CALL)
        && facts.iter().all(|fact| match fact {
            Fact::Statement(kind) => matches!(*kind, SELECT | EXPLAIN | CALL | PRAGMA),
            _ => true,
        })
}

/// Whether a function is known to do nothing but answer.
fn only_answers(name: &str) -> bool {
    // Extensions' readers: `iceberg_scan`, `st_read`.
    name.ends_with("_scan") || name.ends_with("_read") || ANSWERS.iter().any(|known| name.starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_answer_and_others_are_doubted() {
        for name in ["read_csv_auto", "seq_scan", "duckdb_tables", "pragma_table_info", "sqlite_scan", "st_read"] {
            assert!(only_answers(name), "{name}");
        }
        for name in ["nextval", "setseed", "postgres_execute", "enable_profiling", "write_log", "checkpoint"] {
            assert!(!only_answers(name), "{name}");
        }
    }
}
