//! A resource, as these tools tell it.

use std::collections::BTreeMap;

use dbmux_dbt::manifest::{Related, Resource};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// One in a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Node {
    unique_id: String,
    name: String,
    /// model, source, seed, snapshot, test, exposure, …
    resource_type: String,
    /// table, view, incremental, …
    materialized: Option<String>,
    /// Where it is in the database.
    relation: Option<String>,
    description: Option<String>,
    tags: Vec<String>,
    /// Its file in its package.
    file: String,
    /// Steps from what was asked for; absent where nothing was.
    distance: Option<usize>,
}

/// One in all that is known of it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Described {
    unique_id: String,
    name: String,
    resource_type: String,
    package: String,
    materialized: Option<String>,
    relation: Option<String>,
    description: Option<String>,
    tags: Vec<String>,
    file: String,
    /// What is set for it.
    config: BTreeMap<String, Value>,
    /// The columns that are described.
    columns: Vec<Column>,
    /// As its file has it.
    raw_code: Option<String>,
    /// As the database gets it; absent where it has not been compiled since it changed.
    compiled_code: Option<String>,
}

/// A column.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Column {
    name: String,
    data_type: Option<String>,
    description: Option<String>,
}

/// Characters of SQL that are told.
const CODE: usize = 60_000;

impl Node {
    pub(super) fn of(resource: &Resource) -> Self {
        Self {
            unique_id: resource.unique_id.clone(),
            name: resource.name.clone(),
            resource_type: resource.resource_type.clone(),
            materialized: resource.materialized().map(str::to_owned),
            relation: resource.relation_name.clone(),
            description: said(resource.description.as_deref()),
            tags: resource.tags.clone(),
            file: resource.original_file_path.clone(),
            distance: None,
        }
    }

    pub(super) fn related(related: &Related<'_>) -> Self {
        Self { distance: Some(related.distance), ..Self::of(related.resource) }
    }

    /// From what was asked for.
    pub(super) fn steps(&self) -> usize {
        self.distance.unwrap_or_default()
    }

    /// `model.shop.orders (table): All orders.`
    pub(super) fn line(&self) -> String {
        let kind = self.materialized.as_ref().map_or(String::new(), |kind| format!(" ({kind})"));
        let first = self.description.as_deref().and_then(|text| text.lines().next());
        let description = first.map_or(String::new(), |line| format!(": {line}"));
        format!("{}{kind}{description}\n", self.unique_id)
    }
}

/// One in all that is known of it.
pub(crate) fn described(resource: &Resource) -> Described {
    let column = |column: &dbmux_dbt::manifest::Column| Column {
        name: column.name.clone(),
        data_type: column.data_type.clone(),
        description: said(column.description.as_deref()),
    };
    Described {
        unique_id: resource.unique_id.clone(),
        name: resource.name.clone(),
        resource_type: resource.resource_type.clone(),
        package: resource.package_name.clone(),
        materialized: resource.materialized().map(str::to_owned),
        relation: resource.relation_name.clone(),
        description: said(resource.description.as_deref()),
        tags: resource.tags.clone(),
        file: resource.original_file_path.clone(),
        config: resource.config.clone(),
        columns: resource.columns.iter().map(column).collect(),
        raw_code: resource.raw_code.as_deref().map(shortened),
        compiled_code: resource.compiled_code.as_deref().map(shortened),
    }
}

impl Described {
    pub(super) fn text(&self) -> String {
        let mut text = format!("{} ({})\n", self.unique_id, self.materialized.as_ref().unwrap_or(&self.resource_type));
        for part in [&self.description, &self.relation].into_iter().flatten() {
            text.push_str(&format!("{part}\n"));
        }
        for Column { name, data_type, description } in &self.columns {
            let kind = data_type.as_ref().map_or(String::new(), |kind| format!(" {kind}"));
            let description = description.as_ref().map_or(String::new(), |text| format!(": {text}"));
            text.push_str(&format!("  {name}{kind}{description}\n"));
        }
        if let Some(code) = &self.raw_code {
            text.push_str(&format!("{}:\n{code}\n", self.file));
        }
        text
    }
}

fn said(text: Option<&str>) -> Option<String> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

pub(super) fn shortened(code: &str) -> String {
    match code.char_indices().nth(CODE) {
        None => code.to_owned(),
        Some((end, _)) => format!("{}\n-- cut: {} characters in all", &code[..end], code.chars().count()),
    }
}
