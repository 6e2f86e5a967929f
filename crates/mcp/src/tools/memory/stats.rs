//! `memory_stats`, `memory_health`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::arguments::memories;
use crate::{call::Call, failure::Failure, reply::Reply, server::Shared};

/// Nothing but how long to wait.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    /// Seconds to wait for others. 0 never waits.
    wait: Option<f64>,
}

/// Figures, by name.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Figures {
    figures: Map<String, Value>,
}

pub(super) async fn stats(shared: Arc<Shared>, asked: Ask, call: Call) -> Result<Reply<Figures>, Failure> {
    let store = memories(&shared, asked.wait)?;
    let stats = call.unless_cancelled(async { Ok(store.stats().await?) }).await?;
    Ok(reply(&stats))
}

pub(super) async fn health(shared: Arc<Shared>, asked: Ask, call: Call) -> Result<Reply<Figures>, Failure> {
    let store = memories(&shared, asked.wait)?;
    let health = call.unless_cancelled(async { Ok(store.health().await?) }).await?;
    Ok(reply(&health))
}

/// A line each.
fn reply(figures: &impl Serialize) -> Reply<Figures> {
    let figures = serde_json::to_value(figures).ok().and_then(|value| value.as_object().cloned()).unwrap_or_default();
    let text = figures.iter().map(|(name, value)| format!("{}: {value}\n", name.replace('_', " "))).collect::<String>();
    Reply::new(text, Figures { figures })
}
