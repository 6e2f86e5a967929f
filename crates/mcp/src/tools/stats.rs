//! `get_concurrent_access_stats`.

use std::sync::Arc;

use dbmux_report::{Concurrent, stats};
use schemars::JsonSchema;
use serde::Serialize;

use super::holders::Of;
use crate::{
    call::Call,
    databases::{Database, Databases},
    failure::Failure,
    reply::Reply,
    server::Shared,
};

/// The figures of the database that was asked for, or of all together. Times in seconds.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Figures {
    total_acquisitions: u64,
    failed_acquisitions: u64,
    average_wait_s: f64,
    maximum_wait_s: f64,
    p99_wait_s: f64,
    active_locks: u64,
    waiting: u64,
    contended: u64,
    queued_statements: u64,
    /// UTC, RFC 3339.
    last_acquisition: Option<String>,
}

pub(super) async fn run(shared: Arc<Shared>, asked: Of, call: Call) -> Result<Reply<Figures>, Failure> {
    let (mut figures, mut failed) = (Vec::new(), String::new());
    for database in shared.databases.look_at(asked.database.as_deref())? {
        let looking = async { Ok(look(database).await) };
        match call.unless_cancelled(looking).await? {
            Ok(found) => figures.push(found),
            // One that cannot be looked at does not hide the others.
            Err(failure) => failed.push_str(&format!("{}: {}\n", database.name, failure.message())),
        }
    }
    let sum = Concurrent::of(&figures);
    let text = sum.text() + &failed;
    let Concurrent {
        total_acquisitions,
        failed_acquisitions,
        average_wait_s,
        maximum_wait_s,
        p99_wait_s,
        active_locks,
        waiting,
        contended,
        queued_statements,
        last_acquisition,
    } = sum;
    let figures = Figures {
        total_acquisitions,
        failed_acquisitions,
        average_wait_s,
        maximum_wait_s,
        p99_wait_s,
        active_locks,
        waiting,
        contended,
        queued_statements,
        last_acquisition,
    };
    Ok(Reply::new(text, figures))
}

async fn look(database: &Database) -> Result<stats::Figures, Failure> {
    Ok(stats::figures(&Databases::onlooker(database)?).await?)
}
