//! Puts an entry into the text of a TOML file; comments and order stay.

use std::path::Path;

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::{InstallError, Position, entry::Words, plan::Merged};

/// Puts the server's entry into the table `servers`. What the user has added to the entry stays.
pub(super) fn merged(text: &str, servers: &str, server: &Words<'_>, file: &Path) -> Result<Merged, InstallError> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| InstallError::Syntax {
        file: file.to_owned(),
        format: "TOML",
        position: Position::of(text.as_bytes(), error.span().map_or(0, |span| span.start)),
        reason: error.message().to_owned(),
    })?;
    let all = document.entry(servers).or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let inline = all.is_inline_table();
    let Some(all) = all.as_table_like_mut() else {
        return Err(InstallError::Shape { file: file.to_owned(), key: servers.to_owned() });
    };
    let before = all.get(server.name).map(|entry| shown(servers, server.name, entry));
    let local = all.get(server.name).and_then(Item::as_table_like).is_some_and(|entry| !entry.contains_key("url"));
    let mut changed = false;
    if !local {
        let fresh = if inline { Item::Value(InlineTable::new().into()) } else { Item::Table(Table::new()) };
        all.insert(server.name, fresh);
        changed = true;
    }
    if let Some(entry) = all.get_mut(server.name).and_then(Item::as_table_like_mut) {
        changed |= put(entry, "command", server.command.into());
        changed |= put(entry, "args", server.arguments.iter().copied().collect::<Array>().into());
    }
    if !changed {
        return Ok(Merged { text: text.to_owned(), before });
    }
    let new = ended_alike(text, document.to_string());
    // Nothing is written that does not read as it should.
    let reads = new.parse::<DocumentMut>().is_ok_and(|read| {
        let entry = read.get(servers).and_then(|all| all.get(server.name)).and_then(Item::as_table_like);
        entry.and_then(|entry| entry.get("command")?.as_str()) == Some(server.command)
    });
    if reads { Ok(Merged { text: new, before }) } else { Err(InstallError::Strange { file: file.to_owned() }) }
}

/// Whether it was another one. What is written around the value stays.
fn put(entry: &mut dyn TableLike, key: &str, mut value: Value) -> bool {
    if let Some(present) = entry.get(key).and_then(Item::as_value) {
        if same(present, &value) {
            return false;
        }
        *value.decor_mut() = present.decor().clone();
    }
    match entry.get_mut(key) {
        Some(present) => *present = Item::Value(value),
        None => drop(entry.insert(key, Item::Value(value))),
    }
    true
}

/// However they are written.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        _ => one.as_str().is_some_and(|text| other.as_str() == Some(text)),
    }
}

/// The entry alone, as a file that has nothing else.
fn shown(servers: &str, name: &str, entry: &Item) -> String {
    let mut entry = entry.clone();
    if let Item::Table(table) = &mut entry {
        // Its comments are the file's, and its place is none here.
        table.decor_mut().clear();
        table.set_position(None);
    }
    let mut all = Table::new();
    all.set_implicit(true);
    all.insert(name, entry);
    let mut document = DocumentMut::new();
    document.insert(servers, Item::Table(all));
    document.to_string()
}

/// Lines end with line feeds alone in what `toml_edit` writes.
fn ended_alike(old: &str, new: String) -> String {
    let ends = |end: &str| old.matches(end).count();
    if ends("\r\n") == 0 || ends("\r\n") < ends("\n") { new } else { new.replace("\r\n", "\n").replace('\n', "\r\n") }
}

#[cfg(test)]
#[path = "toml_tests.rs"]
mod tests;
