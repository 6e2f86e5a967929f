//! What a statement does, and whether it may: told by SQLite's own authorizer while the statement is prepared.
//!
//! A connection's authorizer is asked for everything that a statement would do, triggers and views written out; again when
//! SQLite prepares the statement anew because the schema has changed, and for the statements that SQLite itself prepares
//! while one runs (`VACUUM`, FTS). It answers the same every time: refused is what would harm others or the file.

use std::{fs, path::Path, sync::Arc};

use dbmux_engine::EngineError;
use parking_lot::Mutex;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::pragma::{self, Pragma};

/// What was noted of a statement.
#[derive(Debug, Clone, Default)]
pub(crate) struct Noted {
    /// It changes a database: the file, a temporary one, or one in memory.
    pub(crate) writes: bool,
    /// It changes the file.
    pub(crate) modifies: bool,
    /// It makes temporary objects, or attaches something.
    pub(crate) makes_state: bool,
    /// It may have removed the last of them.
    pub(crate) drops_state: bool,
    /// The name of the setting that it changes for its session.
    pub(crate) sets: Option<String>,
    /// It is a setting, which SQLite changes as soon as the statement is prepared.
    pub(crate) acts_at_once: bool,
    /// It wants the database for itself.
    pub(crate) wants_all: bool,
    /// It asks what the connection's last write was.
    pub(crate) asks_last: bool,
    /// A view in it does, or a trigger.
    pub(crate) asks_last_inside: bool,
    /// Why it is refused.
    pub(crate) refused: Option<EngineError>,
    /// A `VACUUM INTO` runs: the file that SQLite attaches is its target.
    copies: bool,
    /// What runs is ours, and no client's.
    own: bool,
    /// Only looked at: nothing may happen yet.
    dry: bool,
}

/// What is noted of the statement that is being prepared, or runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<Noted>>);

impl Watch {
    /// Begins anew.
    pub(crate) fn clear(&self, copies: bool) {
        *self.0.lock() = Noted { copies, ..Noted::default() };
    }

    /// Begins anew, for a statement that is only looked at.
    pub(crate) fn look(&self) {
        *self.0.lock() = Noted { dry: true, ..Noted::default() };
    }

    /// What runs from here on is ours; or a client's again.
    pub(crate) fn own(&self, own: bool) {
        self.0.lock().own = own;
    }

    /// What has been noted.
    pub(crate) fn noted(&self) -> Noted {
        self.0.lock().clone()
    }

    /// The authorizer's answer.
    pub(crate) fn authorize(&self, asked: AuthContext<'_>) -> Authorization {
        let mut noted = self.0.lock();
        match note(&mut noted, &asked) {
            Ok(()) if noted.dry && noted.acts_at_once => Authorization::Deny,
            Ok(()) => Authorization::Allow,
            Err(refused) => {
                noted.refused.get_or_insert(refused);
                Authorization::Deny
            }
        }
    }
}

fn note(noted: &mut Noted, asked: &AuthContext<'_>) -> Result<(), EngineError> {
    if noted.own {
        return Ok(());
    }
    let writes = |noted: &mut Noted| {
        // Without a name it is not known which, or all of them.
        noted.modifies |= asked.database_name.is_none_or(|name| name == "main");
        noted.writes = true;
    };
    match &asked.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => {}
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => {}
        AuthAction::Function { function_name } => return function(noted, function_name, asked.accessor),
        AuthAction::Pragma { pragma_name, pragma_value } => {
            let judged = pragma::judge(pragma_name, *pragma_value)?;
            noted.acts_at_once |= pragma_value.is_some() && matches!(judged, Pragma::Sets | Pragma::Writes);
            match judged {
                Pragma::Reads => {}
                Pragma::Sets => noted.sets = Some(pragma_name.to_ascii_lowercase()),
                Pragma::Writes => writes(noted),
                Pragma::WantsAll => noted.wants_all = true,
            };
        }
        AuthAction::Attach { filename } => return attach(noted, filename),
        AuthAction::Detach { .. } => (noted.makes_state, noted.drops_state) = (true, true),
        AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. } => (noted.writes, noted.makes_state) = (true, true),
        AuthAction::DropTempIndex { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropTempTrigger { .. }
        | AuthAction::DropTempView { .. } => (noted.writes, noted.drops_state) = (true, true),
        AuthAction::Unknown { code, .. } => {
            let what = match *code {
                rusqlite::ffi::SQLITE_ATTACH => "ATTACH of a name that is not written out".to_owned(),
                code => format!("the action {code}"),
            };
            return Err(refused(what, "it is not known here whether it could harm others"));
        }
        AuthAction::CreateVtable { .. } if asked.database_name == Some("temp") => {
            (noted.writes, noted.makes_state) = (true, true);
        }
        _ => writes(noted),
    }
    Ok(())
}

fn function(noted: &mut Noted, name: &str, accessor: Option<&str>) -> Result<(), EngineError> {
    match name.to_ascii_lowercase().as_str() {
        name @ ("load_extension" | "fts3_tokenizer") => {
            Err(refused(format!("{name}()"), "code of a client's choice would run in the process that everybody uses"))
        }
        "last_insert_rowid" | "changes" | "total_changes" => {
            // In a trigger it is the trigger's own.
            noted.asks_last |= accessor.is_none();
            noted.asks_last_inside |= accessor.is_some();
            Ok(())
        }
        _ => Ok(()),
    }
}

fn attach(noted: &mut Noted, target: &str) -> Result<(), EngineError> {
    if target.is_empty() || target == ":memory:" {
        noted.makes_state = true;
        return Ok(());
    }
    if noted.copies {
        return copy_target(target);
    }
    let why = "a session has one file, and others in memory only: open the other file by its own name";
    Err(refused(format!("ATTACH '{target}'"), why))
}

/// Where `VACUUM INTO` may write: a file of its own, that is not there yet.
fn copy_target(target: &str) -> Result<(), EngineError> {
    let what = || format!("VACUUM INTO '{target}'");
    let path = Path::new(target);
    if !path.is_absolute() {
        return Err(refused(what(), "the file is made by another process than yours: give an absolute path"));
    }
    if fs::symlink_metadata(path).is_ok() {
        return Err(refused(what(), "something has that name already: give a new one"));
    }
    let kept = fs::symlink_metadata(with_suffix(path, ".dbmux")).is_ok();
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if kept || name.ends_with(".dbmux") || ["-wal", "-shm", "-journal"].iter().any(|suffix| name.ends_with(suffix)) {
        return Err(refused(what(), "that name is a database's that dbmux keeps, or its log's"));
    }
    Ok(())
}

/// A path with something behind its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    text.into()
}

pub(crate) fn refused(what: impl Into<String>, why: &str) -> EngineError {
    EngineError::Refused { what: what.into(), why: why.to_owned() }
}
