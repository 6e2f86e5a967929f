//! `list_databases`.

use std::sync::Arc;

use dbmux_report::status;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    call::Call,
    databases::{Database, Databases},
    failure::Failure,
    reply::Reply,
    server::Shared,
};

/// Nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// All databases.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct List {
    databases: Vec<Listed>,
}

/// A database.
#[derive(Debug, Serialize, JsonSchema)]
struct Listed {
    /// What tools call it.
    name: String,
    path: String,
    exists: bool,
    /// `duckdb`, `sqlite`, `lance`; known while a broker runs.
    engine: Option<String>,
    /// `attached`, `released`, `leased`, `draining`, `not_answering`; absent where no broker runs.
    state: Option<String>,
}

pub(super) async fn run(shared: Arc<Shared>, _: Nothing, call: Call) -> Result<Reply<List>, Failure> {
    let mut databases = Vec::new();
    for database in shared.databases.seen() {
        databases.push(call.unless_cancelled(async { Ok(listed(&database).await) }).await?);
    }
    let mut text = String::new();
    for Listed { name, path, exists, engine, state } in &databases {
        let engine = engine.as_deref().map_or(String::new(), |engine| format!(", {engine}"));
        let state = match (state, exists) {
            (Some(state), _) => state.as_str(),
            (None, true) => "nobody uses it",
            (None, false) => "does not exist yet",
        };
        text.push_str(&format!("{name}: {}{engine}, {state}\n", path));
    }
    Ok(Reply::new(text, List { databases }))
}

/// One that cannot be asked is listed all the same.
async fn listed(database: &Database) -> Listed {
    let client = Databases::onlooker(database);
    let path = client.as_ref().map_or_else(|_| database.path.clone(), |client| client.database().to_owned());
    let status = match &client {
        Ok(client) => client.status().await,
        Err(_) => Ok(None),
    };
    let (engine, state) = match status {
        Ok(Some(found)) => (Some(found.engine.clone()), Some(status::state(&found).to_owned())),
        Ok(None) => (None, None),
        Err(_) => (None, Some("not_answering".to_owned())),
    };
    Listed { name: database.name.clone(), exists: path.exists(), path: path.display().to_string(), engine, state }
}
