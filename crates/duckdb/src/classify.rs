//! What a statement is, for whoever decides when it may run.

use dbmux_engine::StatementKind;

use crate::ffi::{Signature, StatementType};

/// Whether this type of statement may run where nothing may be written, as far as its type tells.
pub(crate) fn reads_only(kind: StatementType) -> bool {
    matches!(kind, StatementType::DUCKDB_V2_STATEMENT_TYPE_SELECT | StatementType::DUCKDB_V2_STATEMENT_TYPE_EXPLAIN)
}

/// `BEGIN`, `COMMIT`, `ROLLBACK` and their synonyms.
pub(crate) fn controls_transaction(kind: StatementType) -> bool {
    kind == StatementType::DUCKDB_V2_STATEMENT_TYPE_TRANSACTION
}

/// What a bound statement may do.
pub(crate) fn kind(statement: StatementType, signature: &Signature) -> StatementKind {
    use StatementType as Type;
    match statement {
        Type::DUCKDB_V2_STATEMENT_TYPE_VACUUM | Type::DUCKDB_V2_STATEMENT_TYPE_ANALYZE => StatementKind::Exclusive,
        kind if reads_only(kind) && !signature.modifies => StatementKind::Read,
        _ => StatementKind::Write,
    }
}
