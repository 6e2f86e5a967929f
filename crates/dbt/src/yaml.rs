//! YAML as dbt reads it (PyYAML's safe loader), as far as dbmux has to read it by itself.
//!
//! Scalars are kept as the text that stands there: what is a number or a boolean depends on the version of YAML (PyYAML's
//! is 1.1: `on`, `yes` and `0777` are not texts), and nothing here needs to know. Whoever must know asks dbt. Anchors,
//! aliases and merge keys are resolved; of two entries with one name the last counts, as it does there.

use std::{fmt, fs, io::ErrorKind, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{DuplicateKeyPolicy, Spanned};

use crate::DbtError;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// A node of a document.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// Nothing: an empty value, `null`, `~`.
    Null,
    /// A scalar.
    Scalar(Scalar),
    /// A list.
    List(Vec<Placed>),
    /// A mapping, in its order.
    Map(Vec<(String, Placed)>),
}

/// A scalar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    /// A text, whatever it would be in YAML 1.1.
    Text(String),
    /// `true` or `false`.
    Truth(bool),
    /// A whole number.
    Whole(i64),
    /// Any other number.
    Number(f64),
}

/// A node, and the line on which it stands.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) node: Node,
    /// From 1; 0: unknown.
    pub(crate) line: u64,
}

impl Placed {
    /// The value of this name, if this is a mapping that has it.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Node::Map(entries) = &self.node else { return None };
        entries.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The same, where nothing counts as not being there.
    pub(crate) fn given(&self, name: &str) -> Option<&Self> {
        self.get(name).filter(|value| !matches!(value.node, Node::Null))
    }

    /// The text that this is.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.node {
            Node::Scalar(Scalar::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether dbt renders this: a text with Jinja in it.
    pub(crate) fn has_jinja(&self) -> bool {
        self.text().is_some_and(|text| ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)))
    }

    /// The names of a mapping.
    pub(crate) fn names(&self) -> Option<Vec<&str>> {
        match &self.node {
            Node::Map(entries) => Some(entries.iter().map(|(name, _)| name.as_str()).collect()),
            _ => None,
        }
    }
}

/// Reads a file. An empty one is [`Node::Null`].
pub(crate) fn read(path: &Path) -> Result<Placed, DbtError> {
    let wrong = |reason: String| DbtError::File { path: path.to_owned(), reason };
    let size = fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if size > LARGEST {
        return Err(wrong(format!("{size} bytes are more than a file like this has")));
    }
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => wrong("it is not UTF-8".to_owned()),
        _ => wrong(error.to_string()),
    })?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<Placed, DbtError> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Placed { node: Node::Null, line: 1 });
    }
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::LastWins };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| DbtError::Yaml {
        path: path.to_owned(),
        line: error.location().map_or(1, |location| location.line()),
        // Without the lines around it: a password may stand in one.
        reason: error.without_snippet().to_string(),
    })
}

impl<'de> Deserialize<'de> for Placed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Node>::deserialize(deserializer)?;
        let line = spanned.referenced.line();
        Ok(Self { node: spanned.value, line })
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNode)
    }
}

struct AnyNode;

impl<'de> Visitor<'de> for AnyNode {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Truth(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Whole(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(i64::try_from(value).map_or(Scalar::Text(value.to_string()), Scalar::Whole)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Number(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Text(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Node>()? {
            let value = entries.next_value()?;
            map.push((name_of(key), value));
        }
        Ok(Node::Map(map))
    }
}

/// A key as text: whatever is no scalar is the name of nothing that is looked for.
fn name_of(key: Node) -> String {
    match key {
        Node::Scalar(Scalar::Text(text)) => text,
        Node::Scalar(Scalar::Truth(value)) => value.to_string(),
        Node::Scalar(Scalar::Whole(value)) => value.to_string(),
        Node::Scalar(Scalar::Number(value)) => value.to_string(),
        Node::Null | Node::List(_) | Node::Map(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Placed {
        parse(Path::new("a.yml"), text).expect("YAML")
    }

    #[test]
    fn merge_keys_anchors_and_repeated_keys_mean_what_they_mean_to_dbt() {
        let read =
            parsed("base: &base {type: duckdb, threads: 4}\nout:\n  <<: *base\n  threads: 8\n  path: a\n  path: b\n");
        let out = read.get("out").expect("a mapping");
        assert_eq!(out.get("type").and_then(Placed::text), Some("duckdb"));
        assert_eq!(out.get("path").and_then(Placed::text), Some("b"), "the last counts");
        assert!(matches!(out.get("threads").expect("a number").node, Node::Scalar(Scalar::Whole(8))));
        assert_eq!(out.get("path").map(|path| path.line), Some(6));
    }

    #[test]
    fn a_fault_is_told_with_its_line_and_without_what_stands_around_it() {
        let error =
            parse(Path::new("profiles.yml"), "a:\n  password: hunter2\n  path: [1, 2\nb: 1\n").expect_err("no YAML");
        let text = error.to_string();
        assert!(text.starts_with("profiles.yml:"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(matches!(error, DbtError::Yaml { line: 3..=5, .. }), "{error:?}");
    }

    #[test]
    fn nothing_is_nothing() {
        assert!(matches!(parsed("").node, Node::Null));
        assert!(matches!(parsed("# only a remark\n\n").node, Node::Null));
        assert!(matches!(parsed("a:\n").get("a").expect("a key").node, Node::Null));
        assert!(parsed("a:\n").given("a").is_none());
    }
}
