//! Resources: the databases' schemas, the dbt project's nodes, memories by tag.

mod databases;
mod dbt;
mod memories;

use rmcp::{
    ErrorData,
    model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate},
};

use crate::{call::Call, failure::Failure, server::Shared};

/// What one says.
struct Found {
    text: String,
    /// Its MIME type.
    kind: &'static str,
}

/// All that can be listed without opening anything.
pub(crate) fn all(shared: &Shared) -> Vec<Resource> {
    databases::all(shared).chain(memories::all(shared)).chain(dbt::all(shared)).collect()
}

/// How the others are asked for.
pub(crate) fn templates(shared: &Shared) -> Vec<ResourceTemplate> {
    dbt::template(shared).into_iter().chain(memories::template(shared)).collect()
}

/// What is in one.
pub(crate) async fn read(shared: &Shared, asked: &str, call: &Call) -> Result<ReadResourceResult, ErrorData> {
    let found = find(shared, asked, call).await.map_err(Failure::into_error)?;
    let Found { text, kind } =
        found.ok_or_else(|| ErrorData::resource_not_found(format!("there is no resource {asked}"), None))?;
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, asked).with_mime_type(kind)]))
}

async fn find(shared: &Shared, asked: &str, call: &Call) -> Result<Option<Found>, Failure> {
    if let Some(found) = databases::read(shared, asked, call).await? {
        return Ok(Some(found));
    }
    if let Some(found) = dbt::read(shared, asked, call).await? {
        return Ok(Some(found));
    }
    memories::read(shared, asked, call).await
}

/// As a URI has it: what is not a letter, a digit or one of `-._~` by its bytes.
fn escaped(name: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(escape).collect()
}

/// What was escaped; `None`: it is no text.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_read_again() {
        assert_eq!(escaped("sales-1.b_~"), "sales-1.b_~");
        assert_eq!(escaped("/a b/ä"), "%2Fa%20b%2F%C3%A4");
        for text in ["sales-1.b_~", "/a b/ä", "100 %", ""] {
            assert_eq!(unescaped(&escaped(text)).as_deref(), Some(text));
        }
        assert_eq!(unescaped("a b"), Some("a b".to_owned()), "as some clients send it");
        for text in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(unescaped(text), None, "{text}");
        }
    }
}
