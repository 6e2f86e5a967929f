//! What a statement is, for whoever decides when it may run.
//!
//! A statement reads if SQLite says that it changes no file, and its authorizer saw nothing that writes, attaches or sets.

use std::path::Path;

use dbmux_engine::{EngineError, ResultShape, StatementKind};
use rusqlite::OpenFlags;

use crate::{
    errors,
    ffi::{Handle, Statement},
    policy::{Noted, refused},
    split,
};

/// What a statement does to its session's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    /// `BEGIN`, of any kind.
    Begin,
    /// `COMMIT`, `END`.
    Commit,
    /// `ROLLBACK`.
    Rollback,
    /// `SAVEPOINT`, `RELEASE`, `ROLLBACK TO`.
    Savepoint,
}

/// What was found.
#[derive(Debug, Clone)]
pub(crate) struct Looked {
    pub(crate) kind: StatementKind,
    pub(crate) modifies: bool,
    pub(crate) control: Option<Control>,
    pub(crate) may_run_read_only: bool,
    /// `VACUUM INTO`.
    pub(crate) copies: bool,
    pub(crate) noted: Noted,
}

/// What a statement does to its session's transaction, by its first words.
pub(crate) fn control(sql: &str) -> Option<Control> {
    let words = split::words(sql, 3);
    let word = |index: usize| words.get(index).map(String::as_str);
    match word(0)? {
        "BEGIN" => Some(Control::Begin),
        "COMMIT" | "END" => Some(Control::Commit),
        "ROLLBACK" if word(1) == Some("TO") || word(2) == Some("TO") => Some(Control::Savepoint),
        "ROLLBACK" => Some(Control::Rollback),
        "SAVEPOINT" | "RELEASE" => Some(Control::Savepoint),
        _ => None,
    }
}

/// Looks at a prepared statement.
pub(crate) fn look(sql: &str, statement: &Statement, mut noted: Noted) -> Looked {
    noted.asks_last |= noted.asks_last_inside && !noted.writes;
    let words = split::words(sql, 3);
    let vacuums = words.first().is_some_and(|word| word == "VACUUM");
    let copies = vacuums && words.iter().skip(1).any(|word| word == "INTO");
    let control = control(sql);
    // EXPLAIN tells what a statement would do, and does nothing.
    let explains = statement.is_explain();
    let writes = !explains && (noted.writes || (!statement.is_read_only() && control.is_none() && !noted.wants_all));
    let changes_session = !explains && (noted.makes_state || noted.drops_state || noted.sets.is_some());
    let kind = if !explains && ((vacuums && !copies) || noted.wants_all) {
        StatementKind::Exclusive
    } else if writes || changes_session || takes_the_file(&words) {
        StatementKind::Write
    } else {
        StatementKind::Read
    };
    // What no authorizer was asked about, and SQLite calls writing, is the file.
    let modifies = writes && !copies && (noted.modifies || !noted.writes);
    let may_run_read_only = kind == StatementKind::Read;
    Looked { kind, modifies, control, may_run_read_only, copies, noted }
}

/// What a setting is, which cannot be prepared without being changed.
pub(crate) fn look_at_setting(noted: Noted) -> Looked {
    let modifies = noted.modifies;
    let kind = StatementKind::Write;
    Looked { kind, modifies, control: None, may_run_read_only: false, copies: false, noted }
}

/// Looks at `BEGIN` and the like while no file is attached.
pub(crate) fn look_without_file(sql: &str) -> Result<Looked, EngineError> {
    let path = Path::new(":memory:");
    let failed = |failure: crate::ffi::Failure| errors::of(&failure, path);
    let handle = Handle::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    match Statement::prepare(&std::sync::Arc::new(handle), sql).map_err(failed)? {
        (Some(statement), end) if split::is_blank(sql.get(end..).unwrap_or_default()) => {
            Ok(look(sql, &statement, Noted::default()))
        }
        _ => Err(errors::sql("there is not one statement in this text", "42601")),
    }
}

/// What a statement answers. `columns`: it has some.
pub(crate) fn shape(sql: &str, columns: bool) -> ResultShape {
    if columns {
        return ResultShape::Rows;
    }
    match split::words(sql, 1).first().map(String::as_str) {
        Some("INSERT" | "REPLACE" | "UPDATE" | "DELETE" | "WITH") => ResultShape::RowsChanged,
        _ => ResultShape::Nothing,
    }
}

/// What the connection's last write was: outside of a transaction somebody else's connection may have made it.
pub(crate) fn asks_last() -> EngineError {
    let why = "outside of a transaction inserts are committed together with others', on another connection: use INSERT … \
               RETURNING, or a transaction";
    refused("last_insert_rowid(), changes() or total_changes()", why)
}

/// `BEGIN IMMEDIATE` and `BEGIN EXCLUSIVE` are the writer's turn.
fn takes_the_file(words: &[String]) -> bool {
    let word = |index: usize| words.get(index).map(String::as_str);
    word(0) == Some("BEGIN") && matches!(word(1), Some("IMMEDIATE" | "EXCLUSIVE"))
}
