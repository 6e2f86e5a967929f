//! For whom one waits, as it is told to people, and between the runner and those who ask it.

use std::path::PathBuf;

use dbmux_client::{Holder, HolderKind};
use serde::{Deserialize, Serialize};

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitsFor {
    /// Requests that came before, in the project's runner.
    Queue,
    /// The project's lock.
    Project,
    /// A dbt that was started without dbmux.
    ForeignDbt,
    /// A database file.
    Database(PathBuf),
}

/// A wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// What is waited for.
    pub what: WaitsFor,
    /// Who has it.
    pub whom: Option<Whom>,
    /// How many go first.
    pub ahead: u32,
}

/// Who keeps the others waiting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whom {
    /// 0: it has no number here.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    /// Its user; empty: not known.
    pub user: String,
    /// Since when, RFC 3339; empty: not known.
    pub since: String,
    /// For how long, milliseconds; 0: not known.
    pub held_ms: u64,
}

impl From<&Holder> for Whom {
    fn from(holder: &Holder) -> Self {
        Self {
            pid: holder.pid,
            command: holder.command.clone(),
            user: holder.user.clone(),
            since: holder.since.clone(),
            held_ms: holder.held_ms,
        }
    }
}

impl From<&Whom> for Holder {
    fn from(whom: &Whom) -> Self {
        Self {
            kind: HolderKind::Process.into(),
            pid: whom.pid,
            command: whom.command.clone(),
            user: whom.user.clone(),
            since: whom.since.clone(),
            held_ms: whom.held_ms,
            writes: true,
            ..Self::default()
        }
    }
}
