//! The databases' schemas, as SQL.

use rmcp::model::Resource;

use super::{Found, escaped};
use crate::{call::Call, databases::Database, failure::Failure, server::Shared, tools};

/// Before and behind a database's name.
const PARTS: [&str; 2] = ["dbmux://database/", "/schema"];

/// One for each database. Opens none.
pub(super) fn all(shared: &Shared) -> impl Iterator<Item = Resource> {
    shared.databases.all().iter().map(|database| {
        Resource::new(uri(database), format!("{} schema", database.name))
            .with_description(format!("How the tables and views of {} were made", database.name))
            .with_mime_type("application/sql")
    })
}

/// What is in one; `None`: it is none of these.
pub(super) async fn read(shared: &Shared, asked: &str, call: &Call) -> Result<Option<Found>, Failure> {
    let Some(database) = shared.databases.all().iter().find(|database| uri(database) == asked) else {
        return Ok(None);
    };
    let made = tools::definitions(shared, call, database).await?;
    let text = made.iter().map(|[_, _, sql]| format!("{};\n", sql.trim_end().trim_end_matches(';'))).collect();
    Ok(Some(Found { text, kind: "application/sql" }))
}

fn uri(database: &Database) -> String {
    let [before, behind] = PARTS;
    format!("{before}{}{behind}", escaped(&database.name))
}
