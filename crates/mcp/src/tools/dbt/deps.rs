//! `install_deps`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::arguments::project;
use crate::{
    call::Call,
    dbt::Locked,
    failure::Failure,
    reply::Reply,
    server::Shared,
    tools::arguments::{given, wait},
};

/// How.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct What {
    /// Looks for newer versions than those that are locked.
    #[serde(default, deserialize_with = "given")]
    upgrade: bool,
    /// Seconds to wait for others who run dbt. 0 never waits.
    wait: Option<f64>,
}

/// What dbt said.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Installed {
    log: String,
    lock: Locked,
}

pub(super) async fn run(shared: Arc<Shared>, what: What, call: Call) -> Result<Reply<Installed>, Failure> {
    let upgrade = what.upgrade.then(|| "--upgrade".to_owned());
    let arguments = ["deps".to_owned()].into_iter().chain(upgrade).collect();
    let ran = project(&shared)?.run_apart(&call, arguments, wait(what.wait)?).await?;
    match ran.code {
        0 => Ok(Reply::new(ran.log.clone() + &ran.locked.text(), Installed { log: ran.log, lock: ran.locked })),
        _ => Err(Failure::dbt(&ran.log)),
    }
}
