//! What a client may ask of a database of LanceDB, as JSON: an object with one name, that of the operation.
//!
//! Rows are never in the text: they are the statement's parameters, a batch of any number of rows. An unknown name is an
//! error that says what is known, in an operation as among operations.

use std::collections::BTreeMap;

use dbmux_engine::{EngineError, Seats, StatementKind};
use serde::Deserialize;

/// One operation.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    /// Appends the rows.
    Add(Table),
    /// Updates what is there, by key, and inserts what is not.
    MergeInsert(MergeInsert),
    /// Sets columns of rows.
    Update(Update),
    /// Deletes rows.
    Delete(Delete),
    /// Finds the nearest rows to a vector, those with words in them, both, or all that a condition holds for.
    Search(Box<Search>),
    /// Counts rows.
    Count(Count),
    /// Names the tables.
    Tables(Nothing),
    /// Names a table's columns.
    Schema(Table),
    /// Names a table's versions.
    Versions(Table),
    /// Lets this session read a version of a table, until it says otherwise.
    Checkout(Checkout),
    /// Names a table's indices.
    Indices(Table),
    /// Makes a table.
    CreateTable(CreateTable),
    /// Removes a table and all its versions.
    DropTable(DropTable),
    /// Makes an index.
    CreateIndex(CreateIndex),
    /// Removes an index.
    DropIndex(DropIndex),
    /// Makes few files of many, removes old versions, brings indices up to date.
    Optimize(Optimize),
}

/// An operation that needs nothing more.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// An operation on a table, that needs nothing more.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    pub(crate) table: String,
}

/// What becomes of a row that is there already, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WhenMatched {
    UpdateAll,
}

/// What becomes of a row that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WhenNotMatched {
    InsertAll,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MergeInsert {
    pub(crate) table: String,
    /// The key's columns.
    pub(crate) on: Vec<String>,
    /// `null`: they are left alone.
    #[serde(default = "update_all")]
    pub(crate) when_matched: Option<WhenMatched>,
    /// Only where this holds: `target.version < source.version`.
    pub(crate) when_matched_if: Option<String>,
    /// `null`: they are passed over.
    #[serde(default = "insert_all")]
    pub(crate) when_not_matched: Option<WhenNotMatched>,
    /// Deletes the rows for which this holds that the given ones do not name.
    pub(crate) delete_unmatched_where: Option<String>,
}

impl MergeInsert {
    /// Updates what is there and inserts what is not, whatever it is.
    pub(crate) fn upsert(table: String, on: Vec<String>) -> Self {
        Self {
            table,
            on,
            when_matched: update_all(),
            when_matched_if: None,
            when_not_matched: insert_all(),
            delete_unmatched_where: None,
        }
    }

    /// Every row that is given is there afterwards, and nothing else has changed.
    pub(crate) fn is_upsert(&self) -> bool {
        let whatever_it_is = self.when_matched_if.is_none() && self.delete_unmatched_where.is_none();
        whatever_it_is && self.when_matched.is_some() && self.when_not_matched.is_some()
    }
}

fn update_all() -> Option<WhenMatched> {
    Some(WhenMatched::UpdateAll)
}

fn insert_all() -> Option<WhenNotMatched> {
    Some(WhenNotMatched::InsertAll)
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Update {
    pub(crate) table: String,
    /// Left out: every row.
    #[serde(rename = "where")]
    pub(crate) filter: Option<String>,
    /// Expressions of SQL, by column.
    pub(crate) set: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delete {
    pub(crate) table: String,
    #[serde(rename = "where")]
    pub(crate) filter: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Count {
    pub(crate) table: String,
    #[serde(rename = "where")]
    pub(crate) filter: Option<String>,
}

/// How far two vectors are from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    L2,
    Cosine,
    Dot,
    Hamming,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    pub(crate) table: String,
    pub(crate) vector: Option<Vec<f32>>,
    /// Words to look for, in columns with an `fts` index.
    pub(crate) text: Option<String>,
    #[serde(rename = "where")]
    pub(crate) filter: Option<String>,
    pub(crate) select: Option<Vec<String>>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: Option<usize>,
    /// The vector's; needed where a table has several.
    pub(crate) column: Option<String>,
    /// Where the words are looked for; left out: in every column with an `fts` index.
    pub(crate) text_columns: Option<Vec<String>>,
    pub(crate) metric: Option<Metric>,
    pub(crate) nprobes: Option<usize>,
    pub(crate) refine: Option<u32>,
    pub(crate) ef: Option<usize>,
    /// The condition is applied to what was found, instead of to what is searched.
    #[serde(default)]
    pub(crate) postfilter: bool,
    /// Passes over the vector's index.
    #[serde(default)]
    pub(crate) exact: bool,
    /// Passes over what no index has yet.
    #[serde(default)]
    pub(crate) indexed_only: bool,
    #[serde(default)]
    pub(crate) with_row_id: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkout {
    pub(crate) table: String,
    /// `null`: the latest, whichever that is.
    pub(crate) version: Option<u64>,
}

/// What becomes of a table of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IfExists {
    #[default]
    Error,
    Keep,
    Overwrite,
}

/// A column of a new table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Column {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default = "yes")]
    pub(crate) nullable: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTable {
    pub(crate) table: String,
    /// Left out: that of the rows given.
    pub(crate) schema: Option<Vec<Column>>,
    #[serde(default)]
    pub(crate) if_exists: IfExists,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DropTable {
    pub(crate) table: String,
    /// No error where there is none.
    #[serde(default)]
    pub(crate) if_exists: bool,
}

/// Kinds of indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IndexKind {
    #[default]
    Auto,
    IvfFlat,
    IvfSq,
    IvfPq,
    IvfRq,
    IvfHnswFlat,
    IvfHnswSq,
    IvfHnswPq,
    Btree,
    Bitmap,
    LabelList,
    Fts,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateIndex {
    pub(crate) table: String,
    pub(crate) column: String,
    #[serde(default, rename = "type")]
    pub(crate) kind: IndexKind,
    pub(crate) name: Option<String>,
    /// Whether one of the same name is made anew.
    #[serde(default = "yes")]
    pub(crate) replace: bool,
    pub(crate) metric: Option<Metric>,
    pub(crate) num_partitions: Option<u32>,
    pub(crate) num_sub_vectors: Option<u32>,
    pub(crate) num_bits: Option<u32>,
    pub(crate) max_iterations: Option<u32>,
    pub(crate) sample_rate: Option<u32>,
    pub(crate) m: Option<u32>,
    pub(crate) ef_construction: Option<u32>,
    /// Of `fts`: `simple`, `whitespace`, `raw`, `ngram`, …
    pub(crate) tokenizer: Option<String>,
    pub(crate) language: Option<String>,
    pub(crate) stem: Option<bool>,
    pub(crate) lower_case: Option<bool>,
    pub(crate) remove_stop_words: Option<bool>,
    pub(crate) ascii_folding: Option<bool>,
    /// Phrases can be searched for.
    pub(crate) with_position: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DropIndex {
    pub(crate) table: String,
    pub(crate) name: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Optimize {
    pub(crate) table: String,
    /// Versions older than this are removed; left out: 7 days.
    pub(crate) older_than_seconds: Option<u32>,
}

impl Operation {
    /// Reads an operation.
    ///
    /// # Errors
    /// [`EngineError::Sql`] with what is allowed there.
    pub(crate) fn read(text: &str) -> Result<Self, EngineError> {
        serde_json::from_str(text).map_err(|error| {
            let message =
                format!("not an operation: {error} (an operation is {{\"name\": {{…}}}}, and one a statement)");
            EngineError::Sql { message, sqlstate: "42601" }
        })
    }

    /// What it may do to the database.
    pub(crate) fn kind(&self) -> StatementKind {
        match self {
            Self::Search(_)
            | Self::Count(_)
            | Self::Tables(_)
            | Self::Schema(_)
            | Self::Versions(_)
            | Self::Checkout(_)
            | Self::Indices(_) => StatementKind::Read,
            _ => StatementKind::Write,
        }
    }

    /// What it has for itself while it writes. An index takes long to make, and Lance lets others write meanwhile; whoever
    /// puts files together would lose to each of them.
    pub(crate) fn seats(&self) -> Seats {
        match self {
            Self::CreateIndex(_) | Self::DropIndex(_) => Seats::Keeper,
            Self::Optimize(_) => Seats::Both,
            _ => Seats::Writer,
        }
    }

    /// It reads rows, and takes as much of a core as it gets.
    pub(crate) fn computes(&self) -> bool {
        matches!(self, Self::Search(_) | Self::Count(_))
    }

    /// The table that it is about; `None`: all.
    pub(crate) fn table(&self) -> Option<&str> {
        Some(match self {
            Self::Tables(_) => return None,
            Self::Add(it) | Self::Schema(it) | Self::Versions(it) | Self::Indices(it) => &it.table,
            Self::MergeInsert(it) => &it.table,
            Self::Update(it) => &it.table,
            Self::Delete(it) => &it.table,
            Self::Search(it) => &it.table,
            Self::Count(it) => &it.table,
            Self::Checkout(it) => &it.table,
            Self::CreateTable(it) => &it.table,
            Self::DropTable(it) => &it.table,
            Self::CreateIndex(it) => &it.table,
            Self::DropIndex(it) => &it.table,
            Self::Optimize(it) => &it.table,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_read_and_what_is_unknown_is_told() {
        let search =
            r#"{"search": {"table": "t", "vector": [1, 2.5], "where": "a > 1", "limit": 3, "metric": "cosine"}}"#;
        assert!(matches!(Operation::read(search).unwrap(), Operation::Search(it) if it.vector == Some(vec![1.0, 2.5])));
        let merge = r#"{"merge_insert": {"table": "t", "on": ["id"], "when_matched": null}}"#;
        let Operation::MergeInsert(merge) = Operation::read(merge).unwrap() else { panic!() };
        assert_eq!(merge.when_matched, None);
        assert_eq!(merge.when_not_matched, Some(WhenNotMatched::InsertAll));
        for (text, told) in [
            (r#"{"serch": {"table": "t"}}"#, "expected one of `add`"),
            (r#"{"search": {"table": "t", "wher": "x"}}"#, "expected one of `table`, `vector`, `text`, `where`"),
            (r#"{"add": {}}"#, "missing field `table`"),
            (r#"{"add": {"table": "t"}, "delete": {"table": "t"}}"#, "one a statement"),
            (r#"{"create_index": {"table": "t", "column": "c", "type": "ivf"}}"#, "`ivf_flat`"),
        ] {
            let error = Operation::read(text).unwrap_err();
            assert!(error.to_string().contains(told), "{text}: {error}");
            assert_eq!(error.sqlstate(), "42601");
        }
    }
}
