//! Arrow's types by what SQLite's columns declare, for tables that are made for rows.

use arrow::datatypes::DataType;
use dbmux_engine::{IngestRows, IngestSql};

/// How rows are put into a table: each by the same statement, in one transaction.
pub(crate) const INGEST: IngestSql =
    IngestSql { column_type, schema: "", temporary: "temp", replaces: false, rows: IngestRows::AsParameters };

/// What a column declares that holds such values: of what a parameter may be.
fn column_type(kind: &DataType) -> Option<String> {
    let name = match kind {
        DataType::Null => "",
        DataType::Boolean => "BOOLEAN",
        kind if kind.is_integer() => "INTEGER",
        kind if kind.is_floating() => "REAL",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "TEXT",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "BLOB",
        DataType::Date32 | DataType::Date64 => "DATE",
        DataType::Time32(_) | DataType::Time64(_) => "TIME",
        DataType::Timestamp(..) => "TIMESTAMP",
        DataType::Dictionary(_, value) => return column_type(value),
        // A vector.
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)
            if item.data_type().is_floating() =>
        {
            "BLOB"
        }
        _ => return None,
    };
    Some(name.to_owned())
}
