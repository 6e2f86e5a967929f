//! Arrow's types by their names in SQL, and names as SQL writes them.

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use tonic::Status;

use crate::status::unsupported;

/// The largest precision of a DECIMAL.
const DIGITS: u8 = 38;

/// The type of a column that holds such values.
pub(super) fn sql_type(kind: &DataType) -> Result<String, Status> {
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
        DataType::Dictionary(_, value) => return sql_type(value),
        DataType::RunEndEncoded(_, value) => return sql_type(value.data_type()),
        _ => return nested(kind),
    };
    Ok(name.to_owned())
}

fn nested(kind: &DataType) -> Result<String, Status> {
    let member = |field: &Field| Ok(format!("{} {}", quoted(field.name()), sql_type(field.data_type())?));
    match kind {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale)
            if *precision <= DIGITS && *scale >= 0 =>
        {
            Ok(format!("DECIMAL({precision}, {scale})"))
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            Ok(format!("{}[]", sql_type(item.data_type())?))
        }
        DataType::FixedSizeList(item, size) => Ok(format!("{}[{size}]", sql_type(item.data_type())?)),
        DataType::Struct(fields) if !fields.is_empty() => {
            let members: Vec<_> = fields.iter().map(|field| member(field)).collect::<Result<_, Status>>()?;
            Ok(format!("STRUCT({})", members.join(", ")))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                Ok(format!("MAP({}, {})", sql_type(pair[0].data_type())?, sql_type(pair[1].data_type())?))
            }
            _ => Err(unsupported(format!("the Arrow type {kind} is not supported"))),
        },
        _ => Err(unsupported(format!("the Arrow type {kind} is not supported in a new table"))),
    }
}

/// A name as SQL writes it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL writes it.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::{literal, quoted, sql_type};

    #[test]
    fn names_types() {
        let inner = Field::new("a \"b\"", DataType::Decimal128(10, 2), true);
        let list = DataType::new_list(DataType::Struct(vec![inner].into()), true);
        assert_eq!(sql_type(&list).unwrap(), "STRUCT(\"a \"\"b\"\"\" DECIMAL(10, 2))[]");
        assert!(sql_type(&DataType::Decimal256(76, 2)).unwrap_err().message().contains("76"));
        assert_eq!(sql_type(&DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into())).unwrap(), "VARCHAR");
    }

    #[test]
    fn quotes() {
        assert_eq!((quoted("a\"b").as_str(), literal("it's").as_str()), ("\"a\"\"b\"", "'it''s'"));
    }
}
