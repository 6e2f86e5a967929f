//! `who_holds`: which processes have a database's file.

use std::sync::Arc;

use dbmux_report::who;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{call::Call, databases::Databases, failure::Failure, reply::Reply, server::Shared};

/// Of which database.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    /// The database, by its name as list_databases tells it, or by its path. Not needed where there is only one.
    pub(super) database: Option<String>,
}

/// Who has it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Holders {
    /// Its canonical path.
    database: String,
    exists: bool,
    /// Each process that has a part of the file: `pid`, `command`, `user`, `since`, `writes`, `stopped`, `what` it is and
    /// `advice`.
    holders: Vec<Map<String, Value>>,
}

pub(super) async fn run(shared: Arc<Shared>, asked: Of, call: Call) -> Result<Reply<Holders>, Failure> {
    let found = shared.databases.look_at(asked.database.as_deref())?;
    let [database] = found.as_slice() else {
        return Err(Failure::usage("there is not one database here", "name one: list_databases tells them"));
    };
    let client = Databases::onlooker(database)?;
    let found = call.unless_cancelled(async { Ok(who::look(&client).await?) }).await?;
    let shown = who::for_program(&found, client.database());
    let holders = Holders {
        database: client.database().display().to_string(),
        exists: shown["exists"].as_bool().unwrap_or_default(),
        holders: objects(&shown["holders"]),
    };
    let unasked = found.unasked.as_ref().map_or(String::new(), |error| format!("no broker was asked: {error}\n"));
    Ok(Reply::new(who::for_person(&found, client.database()) + &unasked, holders))
}

/// A list of objects, of a report.
pub(super) fn objects(list: &Value) -> Vec<Map<String, Value>> {
    list.as_array().into_iter().flatten().filter_map(Value::as_object).cloned().collect()
}
