//! Arrow's types by DuckDB's names, for tables that are made for rows.

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use dbmux_engine::{IngestRows, IngestSql, quote::quoted};

/// How rows are put into a table. A list of structs crosses about as fast as DuckDB's own bulk loading; one `INSERT` a row
/// takes a thousand times as long.
pub(crate) const INGEST: IngestSql =
    IngestSql { column_type, schema: "main", temporary: "temp.main", replaces: true, rows: IngestRows::AsList };

/// The largest precision of a DECIMAL.
const DIGITS: u8 = 38;

/// The type of a column that holds such values.
fn column_type(kind: &DataType) -> Option<String> {
    let name = match kind {
        DataType::Null => "INTEGER",
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INTEGER",
        DataType::Int64 => "BIGINT",
        DataType::UInt8 => "UTINYINT",
        DataType::UInt16 => "USMALLINT",
        DataType::UInt32 => "UINTEGER",
        DataType::UInt64 => "UBIGINT",
        DataType::Float16 | DataType::Float32 => "FLOAT",
        DataType::Float64 => "DOUBLE",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "BLOB",
        DataType::Date32 | DataType::Date64 => "DATE",
        DataType::Time32(_) | DataType::Time64(TimeUnit::Microsecond) => "TIME",
        DataType::Time64(_) => "TIME_NS",
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE",
        DataType::Timestamp(TimeUnit::Second, None) => "TIMESTAMP_S",
        DataType::Timestamp(TimeUnit::Millisecond, None) => "TIMESTAMP_MS",
        DataType::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP",
        DataType::Timestamp(TimeUnit::Nanosecond, None) => "TIMESTAMP_NS",
        DataType::Duration(_) | DataType::Interval(IntervalUnit::MonthDayNano) => "INTERVAL",
        DataType::Interval(IntervalUnit::YearMonth | IntervalUnit::DayTime) => "INTERVAL",
        DataType::Dictionary(_, value) => return column_type(value),
        DataType::RunEndEncoded(_, value) => return column_type(value.data_type()),
        _ => return nested(kind),
    };
    Some(name.to_owned())
}

fn nested(kind: &DataType) -> Option<String> {
    let member = |field: &Field| Some(format!("{} {}", quoted(field.name()), column_type(field.data_type())?));
    match kind {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale)
            if *precision <= DIGITS && *scale >= 0 =>
        {
            Some(format!("DECIMAL({precision}, {scale})"))
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            Some(format!("{}[]", column_type(item.data_type())?))
        }
        DataType::FixedSizeList(item, size) => Some(format!("{}[{size}]", column_type(item.data_type())?)),
        DataType::Struct(fields) if !fields.is_empty() => {
            let members: Vec<_> = fields.iter().map(|field| member(field)).collect::<Option<_>>()?;
            Some(format!("STRUCT({})", members.join(", ")))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                Some(format!("MAP({}, {})", column_type(pair[0].data_type())?, column_type(pair[1].data_type())?))
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_types() {
        let inner = Field::new("a \"b\"", DataType::Decimal128(10, 2), true);
        let list = DataType::new_list(DataType::Struct(vec![inner].into()), true);
        assert_eq!(column_type(&list).as_deref(), Some("STRUCT(\"a \"\"b\"\"\" DECIMAL(10, 2))[]"));
        assert_eq!(column_type(&DataType::Decimal256(76, 2)), None);
        let enumeration = DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into());
        assert_eq!(column_type(&enumeration).as_deref(), Some("VARCHAR"));
    }
}
