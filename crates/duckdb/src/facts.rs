//! What a parsed statement says of files, databases and settings, before it is bound.

use crate::ffi::{Connection, Failure, Statement, StatementType};

/// A text that a statement gives: as it is, or only to be known when it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// A literal or a bare word.
    Text(String),
    /// Anything else.
    Expression(String),
}

/// Where a setting holds. The numbers are DuckDB's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// As the setting's own default says.
    Automatic,
    /// This session.
    Session,
    /// Everybody.
    Global,
    /// It is a variable.
    Variable,
}

/// One thing that a statement, or a statement in it, says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    /// A statement of this type begins (an outer one before what is in it).
    Statement(u32),
    /// `ATTACH path AS name`; the number is DuckDB's `OnCreateConflict`.
    Attach { name: String, path: Known, conflict: u8 },
    /// `ATTACH … (name value)`.
    AttachOption { name: String, value: Known },
    /// `DETACH name`.
    Detach { name: String },
    /// `SET name = value`.
    Set { name: String, scope: Scope, value: Known },
    /// `RESET name`.
    Reset { name: String, scope: Scope },
    /// `PRAGMA name(argument)`.
    Pragma { name: String },
    /// `CALL name(…)`.
    Call { name: String },
    /// `LOAD`, `INSTALL`, … of a file or a name; the number is DuckDB's `LoadType`.
    Load { kind: u8, name: String },
    /// `CREATE`; the number is DuckDB's `CatalogType`.
    Create { kind: u8, temporary: bool },
    /// `ALTER DATABASE name`.
    AlterDatabase { name: String },
    /// `EXPLAIN` of the statement that follows, or `EXPLAIN ANALYZE`.
    Explain { analyze: bool },
    /// `ATTACH TO EXTERNAL RESOURCE`.
    External,
}

/// DuckDB's `CatalogType` of a type.
pub(crate) const TYPE: u8 = 8;
/// DuckDB's `CatalogType` of a secret.
pub(crate) const SECRET: u8 = 71;

/// What a statement says. Plain queries say nothing of interest here, and are not asked.
pub(crate) fn of(connection: &Connection, statement: &Statement) -> Result<Vec<Fact>, Failure> {
    use StatementType as Type;
    match statement.kind() {
        kind @ (Type::DUCKDB_V2_STATEMENT_TYPE_SELECT
        | Type::DUCKDB_V2_STATEMENT_TYPE_INSERT
        | Type::DUCKDB_V2_STATEMENT_TYPE_UPDATE
        | Type::DUCKDB_V2_STATEMENT_TYPE_DELETE) => Ok(vec![Fact::Statement(kind as u32)]),
        _ => Ok(connection.describe(statement)?.iter().filter_map(|record| parse(record)).collect()),
    }
}

/// A record of `shim/describe.cpp`. Records that are not known here are of no interest.
fn parse(record: &[String]) -> Option<Fact> {
    let text = |index: usize| record.get(index).cloned();
    let known = |index: usize| {
        let value = text(index + 1)?;
        Some(if record.get(index)? == "1" { Known::Text(value) } else { Known::Expression(value) })
    };
    let flag = |index: usize| record.get(index).is_some_and(|flag| flag == "1");
    let lower = |index: usize| record.get(index).map(|text| text.to_lowercase());
    Some(match record.first()?.as_str() {
        "statement" => Fact::Statement(text(1)?.parse().ok()?),
        "attach" => Fact::Attach { name: text(1)?, conflict: text(2)?.parse().ok()?, path: known(3)? },
        "attach_option" => Fact::AttachOption { name: lower(1)?, value: known(2)? },
        "detach" => Fact::Detach { name: text(1)? },
        "set" => Fact::Set { name: lower(1)?, scope: scope(&text(2)?), value: known(3)? },
        "reset" => Fact::Reset { name: lower(1)?, scope: scope(&text(2)?) },
        "pragma" => Fact::Pragma { name: lower(1)? },
        "call" => Fact::Call { name: lower(1)? },
        "load" => Fact::Load { kind: text(1)?.parse().ok()?, name: text(2)? },
        "create" => Fact::Create { kind: text(1)?.parse().ok()?, temporary: flag(2) },
        "alter_database" => Fact::AlterDatabase { name: text(1)? },
        "explain" => Fact::Explain { analyze: flag(1) },
        "external" => Fact::External,
        _ => return None,
    })
}

fn scope(number: &str) -> Scope {
    match number {
        "2" => Scope::Session,
        "3" => Scope::Global,
        "4" => Scope::Variable,
        _ => Scope::Automatic,
    }
}
