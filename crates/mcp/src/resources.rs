//! Resources: the databases' schemas, as SQL.

use rmcp::{
    ErrorData,
    model::{ReadResourceResult, Resource, ResourceContents},
};

use crate::{call::Call, databases::Database, failure::Failure, server::Shared, tools};

/// Before and behind a database's name.
const PARTS: [&str; 2] = ["dbmux://database/", "/schema"];

/// One for each database. Opens none.
pub(crate) fn all(shared: &Shared) -> Vec<Resource> {
    let resource = |database: &Database| {
        Resource::new(uri(database), format!("{} schema", database.name))
            .with_description(format!("How the tables and views of {} were made", database.name))
            .with_mime_type("application/sql")
    };
    shared.databases.all().iter().map(resource).collect()
}

/// What is in one.
pub(crate) async fn read(shared: &Shared, asked: &str, call: &Call) -> Result<ReadResourceResult, ErrorData> {
    let database = shared.databases.all().iter().find(|database| uri(database) == asked);
    let database =
        database.ok_or_else(|| ErrorData::resource_not_found(format!("there is no resource {asked}"), None))?;
    let made = tools::definitions(shared, call, database).await;
    let made = made.map_err(Failure::into_error)?;
    let text: String = made.iter().map(|[_, _, sql]| format!("{};\n", sql.trim_end().trim_end_matches(';'))).collect();
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, asked).with_mime_type("application/sql")]))
}

fn uri(database: &Database) -> String {
    let [before, behind] = PARTS;
    format!("{before}{}{behind}", escaped(&database.name))
}

/// As a URI has it: what is not a letter, a digit or one of `-._~` by its bytes.
fn escaped(name: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        assert_eq!(escaped("sales-1.b_~"), "sales-1.b_~");
        assert_eq!(escaped("/a b/ä"), "%2Fa%20b%2F%C3%A4");
    }
}
