//! What a client's statement may not do to the instance that all sessions share.
//!
//! The file itself, its logs and its sidecar are guarded where they are opened (`ffi/guard.rs`); this is about names and
//! settings. Everything is refused by name, with what to do instead.

use dbmux_engine::EngineError;

use crate::{
    facts::{Fact, SECRET, Scope},
    ffi::StatementType,
};

/// For whom a statement is looked at.
pub(crate) struct Client<'a> {
    /// The name of the attached database.
    pub(crate) catalog: &'a str,
    /// A process of the same user on this machine.
    pub(crate) local: bool,
    /// The names of what this session attached.
    pub(crate) attached: &'a [String],
}

/// Settings that nobody changes in a running broker, by their beginnings.
const FIXED: [(&str, &str); 26] = [
    ("access_mode", "it is the broker's"),
    ("allow_", "it is the broker's"),
    ("allowed_", "it could not be undone"),
    ("arrow_", "results cross in one form"),
    ("autoinstall_", "it is the broker's"),
    ("autoload_", "it is the broker's"),
    ("custom_extension_repository", "it is the broker's"),
    ("debug_", "it is for DuckDB's own tests"),
    ("default_block_size", "it would hold for files of others"),
    ("default_secret_storage", "it is the broker's"),
    ("disable_database_invalidation", "a failed database must not be used any more"),
    ("disabled_filesystems", "it could not be undone"),
    ("enable_external_access", "it could not be undone"),
    ("enable_logging", "the broker has its own log"),
    ("enabled_log_types", "the broker has its own log"),
    ("disabled_log_types", "the broker has its own log"),
    ("extension_", "it is the broker's"),
    ("fsync_mode", "what is acknowledged must be on the disk"),
    ("lock_configuration", "it could not be undone"),
    ("log_query_path", "the broker has its own log"),
    ("logging_", "the broker has its own log"),
    ("produce_arrow_", "results cross in one form"),
    ("secret_directory", "it is the broker's"),
    ("storage_compatibility_version", "choose the version when the file is made: --storage-version"),
    ("temp_directory", "the broker clears it"),
    ("temp_file_encryption", "it is the broker's"),
];

/// Functions that change the instance, by their beginnings.
const REFUSED_CALLS: [(&str, &str); 8] = [
    ("enable_logging", "the broker has its own log"),
    ("disable_logging", "the broker has its own log"),
    ("truncate_duckdb_logs", "the broker has its own log"),
    ("create_external_resource", "external resources are not the broker's to make"),
    ("deregister_external_resource", "external resources are not the broker's to make"),
    ("destroy_external_resource", "external resources are not the broker's to make"),
    ("register_external_resource", "external resources are not the broker's to make"),
    ("json_execute_serialized_sql", "run the statement itself"),
];

/// DuckDB's `LoadType` of `CREATE EXTENSION REPOSITORY` and `DROP EXTENSION REPOSITORY`.
const REPOSITORY_LOADS: [u8; 2] = [4, 5];

/// Looks at what a statement says, before it is bound.
pub(crate) fn check(facts: &[Fact], client: &Client<'_>) -> Result<(), EngineError> {
    facts.iter().try_for_each(|fact| match fact {
        Fact::Statement(kind) => statement_type(*kind, client),
        Fact::Detach { name } => detach(name, client),
        Fact::AlterDatabase { name } => Err(refused(format!("renaming the database {name}"), "others use that name")),
        Fact::External => {
            Err(refused("ATTACH TO EXTERNAL RESOURCE", "external resources are not the broker's to make"))
        }
        Fact::Set { name, scope, .. } | Fact::Reset { name, scope } => setting(name, *scope, client),
        Fact::Pragma { name } => pragma(name, client),
        Fact::Call { name } => call(name),
        Fact::Load { kind, name } if REPOSITORY_LOADS.contains(kind) => {
            Err(refused(format!("the extension repository {name}"), "whom to trust is not a statement's to say"))
        }
        Fact::Load { name, .. } => local(client, || format!("loading the extension {name}")),
        Fact::Create { kind: SECRET, .. } => local(client, || "creating a secret".to_owned()),
        _ => Ok(()),
    })
}

/// Looks at what a bound statement calls, after views and macros were written out.
pub(crate) fn check_calls<'a>(calls: impl IntoIterator<Item = &'a str>) -> Result<(), EngineError> {
    calls.into_iter().try_for_each(call)
}

fn refused(what: impl Into<String>, why: &str) -> EngineError {
    EngineError::Refused { what: what.into(), why: why.to_owned() }
}

fn statement_type(kind: u32, client: &Client<'_>) -> Result<(), EngineError> {
    const CONNECT: u32 = StatementType::DUCKDB_V2_STATEMENT_TYPE_CONNECT as u32;
    const DISCONNECT: u32 = StatementType::DUCKDB_V2_STATEMENT_TYPE_DISCONNECT as u32;
    const EXTERNAL: u32 = StatementType::DUCKDB_V2_STATEMENT_TYPE_EXTERNAL_RESOURCE as u32;
    const PASSTHROUGH: u32 = StatementType::DUCKDB_V2_STATEMENT_TYPE_PASSTHROUGH as u32;
    const UPDATE_EXTENSIONS: u32 = StatementType::DUCKDB_V2_STATEMENT_TYPE_UPDATE_EXTENSIONS as u32;
    match kind {
        CONNECT | DISCONNECT | PASSTHROUGH => {
            Err(refused("CONNECT", "statements would go past the database that the broker owns"))
        }
        EXTERNAL => Err(refused("an external resource", "external resources are not the broker's to make")),
        UPDATE_EXTENSIONS => local(client, || "updating extensions".to_owned()),
        _ => Ok(()),
    }
}

fn local(client: &Client<'_>, what: impl FnOnce() -> String) -> Result<(), EngineError> {
    if client.local {
        return Ok(());
    }
    Err(refused(what(), "it changes the instance for everybody: only the owner's own processes on this machine may"))
}

fn detach(name: &str, client: &Client<'_>) -> Result<(), EngineError> {
    if client.attached.iter().any(|attached| attached.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    if name.eq_ignore_ascii_case(client.catalog) {
        return Err(refused(format!("DETACH {name}"), "it is the database that the broker owns"));
    }
    Err(refused(format!("DETACH {name}"), "this session did not attach it"))
}

fn setting(name: &str, scope: Scope, client: &Client<'_>) -> Result<(), EngineError> {
    if scope == Scope::Variable {
        return Ok(());
    }
    if let Some((_, why)) = FIXED.iter().find(|(beginning, _)| name.starts_with(beginning)) {
        return Err(refused(format!("the setting {name}"), why));
    }
    if scope == Scope::Global { local(client, || format!("the global setting {name}")) } else { Ok(()) }
}

fn pragma(name: &str, client: &Client<'_>) -> Result<(), EngineError> {
    match name {
        "enable_checkpoint_on_shutdown" | "disable_checkpoint_on_shutdown" => {
            local(client, || format!("PRAGMA {name}"))
        }
        _ => call(name),
    }
}

fn call(name: &str) -> Result<(), EngineError> {
    match REFUSED_CALLS.iter().find(|(beginning, _)| name.starts_with(beginning)) {
        Some((_, why)) => Err(refused(format!("calling {name}"), why)),
        None => Ok(()),
    }
}
