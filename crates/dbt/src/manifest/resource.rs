//! One resource of a project.

use std::collections::BTreeMap;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

/// A model, a source, a test, …
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Resource {
    /// `model.shop.orders`
    pub unique_id: String,
    /// `orders`
    pub name: String,
    /// `model`, `seed`, `snapshot`, `test`, `source`, `exposure`, …
    pub resource_type: String,
    /// The package that it is of: the project itself, for most.
    pub package_name: String,
    /// Its file, in its package.
    pub original_file_path: String,
    /// What people say of it.
    pub description: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Where it is in the database: `"shop"."main"."orders"`; `None`: it is nowhere.
    pub relation_name: Option<String>,
    /// The database.
    pub database: Option<String>,
    /// The schema.
    pub schema: Option<String>,
    /// What it is called there, where that is another name.
    pub alias: Option<String>,
    /// The same of a source.
    pub identifier: Option<String>,
    /// Of a source: what it is one of.
    pub source_name: Option<String>,
    /// `materialized`, `enabled`, and whatever else is set.
    pub config: BTreeMap<String, Value>,
    /// The columns that are described, in their order.
    #[serde(deserialize_with = "in_order")]
    pub columns: Vec<Column>,
    /// `sql`, `python`.
    pub language: Option<String>,
    /// As its file has it.
    pub raw_code: Option<String>,
    /// As the database gets it; `None`: it has not been compiled.
    pub compiled_code: Option<String>,
}

/// A column that is described.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What people say of it.
    pub description: Option<String>,
    /// Its type, where it is said.
    pub data_type: Option<String>,
}

impl Resource {
    /// `table`, `view`, `incremental`, `ephemeral`, …
    pub fn materialized(&self) -> Option<&str> {
        self.config.get("materialized").and_then(Value::as_str)
    }

    /// Whether others read from it by SQL.
    pub fn is_relation(&self) -> bool {
        matches!(self.resource_type.as_str(), "model" | "seed" | "snapshot" | "source")
    }

    /// Whether its SQL has to be compiled before one knows what it reads.
    pub(crate) fn is_made_by_sql(&self) -> bool {
        matches!(self.resource_type.as_str(), "model" | "snapshot")
            && self.language.as_deref().is_none_or(|language| language == "sql")
    }

    /// Whether it is made by SQL that dbt has not compiled yet.
    pub fn needs_compiling(&self) -> bool {
        self.is_made_by_sql() && self.compiled_code.is_none()
    }

    /// What it is called in the database.
    fn identifier(&self) -> &str {
        self.identifier.as_deref().or(self.alias.as_deref()).unwrap_or(&self.name)
    }

    pub(super) fn is_called(&self, asked: &str) -> bool {
        let of_source = || self.source_name.as_ref().is_some_and(|source| asked == format!("{source}.{}", self.name));
        let of_package = || asked == format!("{}.{}", self.package_name, self.name);
        let relation = |name: &String| asked == name || asked == name.replace('"', "");
        asked == self.name
            || of_source()
            || of_package()
            || (!self.original_file_path.is_empty() && asked == self.original_file_path && self.is_relation())
            || self.relation_name.as_ref().is_some_and(relation)
    }

    /// Whether SQL that says these names, the last one the table's, means it.
    pub(super) fn is_at(&self, name: &[String]) -> bool {
        if !self.is_relation() {
            return false;
        }
        let own = [self.database.as_deref(), self.schema.as_deref(), Some(self.identifier())];
        let mut pairs = own.into_iter().rev().zip(name.iter().rev());
        !name.is_empty() && pairs.all(|(own, said)| own.is_some_and(|own| own.eq_ignore_ascii_case(said)))
    }
}

/// The values of a map, in the order in which they are written.
fn in_order<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Column>, D::Error> {
    struct InOrder;

    impl<'de> Visitor<'de> for InOrder {
        type Value = Vec<Column>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("columns by their names")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Column>, A::Error> {
            let mut columns = Vec::new();
            while let Some((_, column)) = map.next_entry::<IgnoredAny, Column>()? {
                columns.push(column);
            }
            Ok(columns)
        }
    }

    from.deserialize_map(InOrder)
}
