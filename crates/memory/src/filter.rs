//! Which memories are meant.

use dbmux_client::Value;

use crate::{MemoryError, TimeRange, memory};

/// How many of the tags a memory must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TagMatch {
    /// One of them.
    #[default]
    Any,
    /// All of them.
    All,
}

/// Which memories are meant: those for which all of this is true.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// Tags that it has; none: whichever.
    pub tags: Vec<String>,
    /// How many of them.
    pub tag_match: TagMatch,
    /// Its type.
    pub memory_type: Option<String>,
    /// When it was stored first.
    pub time: TimeRange,
    /// Its hash is one of these; none: whichever.
    pub hashes: Vec<String>,
}

impl Filter {
    /// Those with one of these tags.
    pub fn tagged<T: Into<String>>(tags: impl IntoIterator<Item = T>) -> Self {
        Self { tags: tags.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Those with these hashes.
    pub fn hashes<T: Into<String>>(hashes: impl IntoIterator<Item = T>) -> Self {
        Self { hashes: hashes.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Whether all memories are meant.
    pub fn is_empty(&self) -> bool {
        *self == Self { tag_match: self.tag_match, ..Self::default() }
    }

    /// As SQL about the row `m`.
    pub(crate) fn clause(&self) -> Result<Clause, MemoryError> {
        let mut clause = Clause::default();
        self.add_tags(&mut clause)?;
        if let Some(name) = memory::checked_type(self.memory_type.as_deref())? {
            clause.and("m.type = ?", name);
        }
        if let Some(from) = self.time.from {
            clause.and("m.created >= ?", from.as_microsecond());
        }
        if let Some(to) = self.time.to {
            clause.and("m.created < ?", to.as_microsecond());
        }
        if !self.hashes.is_empty() {
            let hashes: Vec<_> = self.hashes.iter().map(|hash| hash.trim().to_ascii_lowercase()).collect();
            clause.and("m.hash IN (SELECT value FROM json_each(?))", json(&hashes));
        }
        Ok(clause)
    }

    fn add_tags(&self, clause: &mut Clause) -> Result<(), MemoryError> {
        let tags = memory::checked_tags(&self.tags)?;
        match self.tag_match {
            _ if tags.is_empty() => {}
            TagMatch::Any => clause.and(
                "m.id IN (SELECT memory FROM memory_tags WHERE tag IN (SELECT value FROM json_each(?)))",
                json(&tags),
            ),
            TagMatch::All => {
                for tag in tags {
                    clause.and("m.id IN (SELECT memory FROM memory_tags WHERE tag = ?)", tag);
                }
            }
        }
        Ok(())
    }
}

/// Conditions, and the values of their `?`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clause {
    conditions: Vec<&'static str>,
    pub(crate) values: Vec<Value>,
}

impl Clause {
    pub(crate) fn and(&mut self, condition: &'static str, value: impl Into<Value>) {
        self.conditions.push(condition);
        self.values.push(value.into());
    }

    /// One that has two.
    pub(crate) fn and_two(&mut self, condition: &'static str, first: impl Into<Value>, second: impl Into<Value>) {
        self.and(condition, first);
        self.values.push(second.into());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// ` WHERE …`, or nothing.
    pub(crate) fn where_(&self) -> String {
        if self.is_empty() { String::new() } else { format!(" WHERE {}", self.conditions.join(" AND ")) }
    }

    /// ` AND column IN (…)`, or nothing.
    pub(crate) fn restricts(&self, column: &str) -> String {
        if self.is_empty() {
            return String::new();
        }
        format!(" AND {column} IN (SELECT m.id FROM memories AS m{})", self.where_())
    }
}

/// A list as SQLite's `json_each` takes it.
pub(crate) fn json<T: serde::Serialize>(list: &[T]) -> String {
    // A list of texts or numbers is always JSON.
    serde_json::to_string(list).unwrap_or_else(|_| "[]".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_filter_asks_for_nothing() {
        assert!(Filter::default().is_empty());
        assert!(Filter { tag_match: TagMatch::All, ..Filter::default() }.is_empty());
        assert!(!Filter::tagged(["a"]).is_empty());
        assert_eq!(Filter::default().clause().unwrap().where_(), "");
    }

    #[test]
    fn each_condition_has_its_value() {
        let filter =
            Filter { tag_match: TagMatch::All, memory_type: Some("note".into()), ..Filter::tagged(["a", "b"]) };
        let clause = filter.clause().unwrap();
        assert_eq!(clause.where_().matches('?').count(), clause.values.len());
        assert_eq!(clause.values.len(), 3);
        assert!(clause.restricts("memory").starts_with(" AND memory IN (SELECT m.id FROM memories AS m WHERE "));
    }
}
