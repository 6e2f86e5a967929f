//! Puts an entry into the text of a JSON file, and leaves every other byte of it as it is.

use std::{ops::Range, path::Path};

use serde_json::Value;

use super::{
    InstallError, Position,
    entry::{Json, Words},
    jsonc::Plain,
    plan::Merged,
};

/// Keys of servers that are reached by their address: an entry with one of them is another server, not an older one.
const REMOTE: [&str; 3] = ["url", "serverUrl", "httpUrl"];

/// Puts the server's entry into the object `servers`. What the user has added to the entry stays.
pub(super) fn merged(
    text: &str,
    servers: &str,
    server: &Words<'_>,
    (comments, typed): (bool, bool),
    file: &Path,
) -> Result<Merged, InstallError> {
    let old = read(text, comments, file)?;
    let shape = |key: &str| InstallError::Shape { file: file.to_owned(), key: key.to_owned() };
    if !old.is_object() {
        return Err(shape(""));
    }
    if old.get(servers).is_some_and(|servers| !servers.is_object()) {
        return Err(shape(servers));
    }
    let entry = Json::of(server, typed);
    let present = &old[servers][server.name];
    let path = [servers, server.name];
    let mut wanted = old.clone();
    let mut new = text.to_owned();
    if is_local(present) {
        let differing = |(key, value): &&(String, Json)| key != "type" && present[key] != Value::from(value);
        for (key, value) in entry.iter().filter(differing) {
            new = set(&new, &[servers, server.name, key], value, comments);
            wanted[servers][server.name][key] = value.into();
        }
    } else {
        let entry = Json::Object(entry);
        new = set(&new, &path, &entry, comments);
        wanted[servers][server.name] = (&entry).into();
    }
    // Files that others wrote have their surprises: nothing is written that does not read as it should.
    if read(&new, comments, file).ok().as_ref() != Some(&wanted) {
        return Err(InstallError::Strange { file: file.to_owned() });
    }
    let plain = Plain::of(text, comments);
    let place = plain.member(&plain.root(), servers).and_then(|member| plain.member(&member.value, server.name));
    Ok(Merged { text: new, before: place.map(|member| text[member.value].to_owned()) })
}

/// Whether the entry is one of a program that is started, as ours.
fn is_local(entry: &Value) -> bool {
    let local = entry.get("type").is_none_or(|kind| kind == "stdio");
    entry.is_object() && local && REMOTE.iter().all(|key| entry.get(key).is_none())
}

/// An empty file is an empty object.
fn read(text: &str, comments: bool, file: &Path) -> Result<Value, InstallError> {
    let plain = Plain::of(text, comments).text;
    if plain.trim().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_str(&plain).map_err(|error| {
        let position = Position { line: error.line(), column: error.column() };
        let said = error.to_string();
        let reason = said.rsplit_once(" at line ").map_or(&*said, |(reason, _)| reason).to_owned();
        InstallError::Syntax { file: file.to_owned(), format: "JSON", position, reason }
    })
}

/// The text with this value at the path; objects on the way to it are made.
fn set(text: &str, path: &[&str], value: &Json, comments: bool) -> String {
    let plain = Plain::of(text, comments);
    let style = plain.style();
    let mut place = plain.root();
    if place.is_empty() {
        let newline = style.as_ref().map_or("\n", |style| style.newline);
        // Comments may be all that there is.
        let kept = text.trim_end();
        let after = if kept.is_empty() { "" } else { newline };
        return format!("{kept}{after}{}{newline}", nested(path, value).text(style.as_ref(), ""));
    }
    for (depth, key) in path.iter().enumerate() {
        let Some(member) = plain.member(&place, key) else {
            return insert(text, &plain, &place, key, &nested(&path[depth + 1..], value));
        };
        place = member.value;
    }
    let new = value.text(style.as_ref(), plain.indent(place.start));
    format!("{}{new}{}", &text[..place.start], &text[place.end..])
}

fn nested(path: &[&str], value: &Json) -> Json {
    path.iter().rev().fold(value.clone(), |inner, &key| Json::Object(vec![(key.to_owned(), inner)]))
}

/// As the object's last member, behind comments that end it.
fn insert(text: &str, plain: &Plain, object: &Range<usize>, key: &str, value: &Json) -> String {
    let members = plain.members(object);
    let (first, last) = (members.first(), members.last());
    let style = plain.style().filter(|_| last.is_none() || text[object.clone()].contains('\n'));
    let close = object.end - 1;
    let at = object.start + text[object.start..close].trim_end().len();
    let comma_at = last.map_or(at, |member| member.value.end);
    let comma = if last.is_none() || plain.has_comma(&(comma_at..close)) { "" } else { "," };
    let key = Value::from(key);
    let member = match &style {
        None => format!("{key}:{}", value.text(None, "")),
        Some(style) => {
            let outside = plain.indent(object.start);
            let own_line = |at: usize| text[object.start..at].contains('\n');
            let indent = match first.map(|member| member.key.start) {
                Some(at) if own_line(at) => plain.indent(at).to_owned(),
                _ => format!("{outside}{}", style.unit),
            };
            let newline = style.newline;
            let ends = text[at..close].contains('\n');
            let end = if ends { String::new() } else { format!("{newline}{outside}") };
            format!("{newline}{indent}{key}: {}{end}", value.text(Some(style), &indent))
        }
    };
    format!("{}{comma}{}{member}{}", &text[..comma_at], &text[comma_at..at], &text[at..])
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
