//! `get_concurrent_access_stats`.

use std::sync::Arc;

use dbmux_report::{Concurrent, stats};

use super::holders::Of;
use crate::{
    call::Call,
    databases::{Database, Databases},
    failure::Failure,
    reply::Reply,
    server::Shared,
};

pub(super) async fn run(shared: Arc<Shared>, asked: Of, call: Call) -> Result<Reply<Concurrent>, Failure> {
    let (mut figures, mut failed) = (Vec::new(), String::new());
    for database in shared.databases.look_at(asked.database.as_deref())? {
        let looking = async { Ok(look(&database).await) };
        match call.unless_cancelled(looking).await? {
            Ok(found) => figures.push(found),
            // One that cannot be looked at does not hide the others.
            Err(failure) => failed.push_str(&format!("{}: {}\n", database.name, failure.message())),
        }
    }
    let sum = Concurrent::of(&figures);
    let text = sum.text() + &failed;
    Ok(Reply::new(text, sum))
}

async fn look(database: &Database) -> Result<stats::Figures, Failure> {
    Ok(stats::figures(&Databases::onlooker(database)?).await?)
}
